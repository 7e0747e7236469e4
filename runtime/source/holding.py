"""Finds a value that is read from a variable which does not hold it then."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from d2s.runtime.ir.program import (
    Block,
    Branch,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Terminator,
    Value,
    While,
    Yield,
    terminator_tree,
    values_in,
    walk_ops,
)
from d2s.runtime.source.loops import For, assigned_by

# The values that each variable may be taken for at some place of the program.
_Held = dict[str, frozenset[Value]]


def first_wrong_read(program: Program, names: dict[Value, str], inlined: Collection[Value]) -> Value | None:
    """A value that is read where its variable may hold another one; None if there is no such."""
    run = _Run(names, inlined)
    held: _Held = {}
    run.assign([one.value for one in program.inputs], held)
    run.block(program.body, held)
    return run.wrong


class _Run:
    """Goes through a program in the order in which it runs, on all paths."""

    def __init__(self, names: dict[Value, str], inlined: Collection[Value]):
        self.wrong: Value | None = None
        self._names = names
        self._inlined = inlined

    def _note(self, value: Value) -> None:
        self.wrong = self.wrong or value

    def read(self, tree: Any, held: _Held) -> None:
        """What is inlined has been read where it was defined: nothing is assigned from there to its use."""
        for value in values_in(tree):
            name = self._names.get(value)
            if name is not None and value not in held.get(name, ()):
                self._note(value)

    def assign(self, values: Iterable[Value], held: _Held) -> None:
        """Have values that are new in their variables."""
        held.update({self._names[value]: frozenset({value}) for value in values if value in self._names})

    def move(self, targets: Sequence[Value], trees: Sequence[Any], held: _Held) -> None:
        """Have targets be what the trees are, all at once; what is in its target's variable stays."""
        self.read(list(trees), held)
        moved: _Held = {}
        for target, tree in zip(targets, trees, strict=True):
            name = self._names.get(target)
            if name is None:
                continue
            if name in moved:
                self._note(target)
            stays = isinstance(tree, Value) and self._names.get(tree) == name
            moved[name] = frozenset({target, *(held.get(name, ()) if stays else ())})
        held.update(moved)

    # -------------------------------------------------------------- blocks

    def block(self, block: Block, held: _Held) -> list[tuple[Terminator, _Held]]:
        """The ends that a block can come to, and what the variables hold there."""
        for op in block.ops:
            self._op(op, held)
        end = block.terminator
        assert end is not None
        if isinstance(end, Branch):
            self.read(end.condition, held)
            return [*self.block(end.then, dict(held)), *self.block(end.orelse, dict(held))]
        self.read(terminator_tree(end), held)
        return [(end, held)]

    def _op(self, op: Op, held: _Held) -> None:
        if isinstance(op, If):
            self._if(op, held)
        elif isinstance(op, While):
            self._while(op, held)
        else:
            self.read(op.operands, held)
            self.assign(op.results, held)

    def _if(self, op: If, held: _Held) -> None:
        self.read(op.condition, held)
        after = []
        for side in op.blocks:
            for end, at_end in self.block(side, dict(held)):
                if isinstance(end, Yield):
                    self.move(op.results, end.values, at_end)
                    after.append(at_end)
        _become(held, after)

    def _while(self, op: While, held: _Held) -> None:
        self.read(op.operands, held)
        self.move(op.params, op.inits, held)
        for name in self._assigned_in(op):
            held[name] = held.get(name, frozenset()) & frozenset(op.params)
        after, trips = [], []
        for end, at_end in self.block(op.test, dict(held)):
            assert isinstance(end, Condition)
            trips.append(dict(at_end))
            self.move(op.results, end.exits, at_end)
            after.append(at_end)
        in_body: _Held = {}
        _become(in_body, trips)
        if isinstance(op, For) and op.item is not None:
            self.assign([op.item], in_body)
        for end, at_end in self.block(op.body, in_body):
            if isinstance(end, Continue):
                self.move(op.params, end.values, at_end)
        _become(held, after)

    def _assigned_in(self, op: While) -> set[str]:
        """The variables that the trips of a loop assign to."""
        inner = [one for block in op.blocks for one in walk_ops(block)]
        values = [value for one in (op, *inner) for value in assigned_by(one) if value not in op.results]
        return {self._names[value] for value in values if value in self._names}


def _become(held: _Held, paths: Sequence[_Held]) -> None:
    """Have the variables hold what they hold on all of the paths that come together."""
    held.clear()
    if paths:
        names = set.intersection(*(set(path) for path in paths))
        held.update({name: frozenset.intersection(*(path[name] for path in paths)) for name in names})

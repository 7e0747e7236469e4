"""Undoes what TorchScript makes of `break`, `continue` and `return`: flags set in an `if`, and tested after it.

An `if` on a flag that the `if` before it sets on each of its paths is moved into those paths; there it is decided.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.editing import fresh_number
from d2s.runtime.ir.normal import Uses, filled
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
)
from d2s.runtime.ir.rewriting import Rewriter


def threaded(program: Program) -> Program:
    """The program with decided `if`s on their paths, and without results that nothing uses."""
    moved = _Threading(program).program(program)
    return _Pruning(moved).program(moved)


class _Threading(Rewriter):
    def __init__(self, program: Program):
        self._numbers = itertools.count(fresh_number(program))

    def block(self, block: Block) -> Block:
        made = super().block(block)
        ops: list[Op] = []
        for op in made.ops:
            before = ops[-1] if ops else None
            moved = self._moved(before, op) if isinstance(before, If) and isinstance(op, If) else None
            if moved is not None:
                ops[-1] = self.op(moved)  # what was moved in may stand after another `if` there
            else:
                ops.append(op)
        return Block(ops, made.terminator)

    def _moved(self, first: If, second: If) -> If | None:
        """The first of two with the second on its paths; None if some path does not decide it."""
        if second.condition not in first.results:
            return None
        moving = _Moving(first.results.index(second.condition), second, self._numbers)
        sides = [moving.side(side, first.results) for side in first.blocks]
        if sides[0] is None or sides[1] is None or moving.copies > 1:
            return None
        return replace(first, then=sides[0], orelse=sides[1], results=[*first.results, *second.results])


class _Moving:
    """Moves an `if` to the ends of another; `copies` counts the ends that get ops by that."""

    def __init__(self, place: int, second: If, numbers: Iterator[int]):
        self.copies = 0
        self._place = place
        self._second = second
        self._numbers = numbers

    def side(self, side: Block, results: Sequence[Value]) -> Block | None:
        """A block of the first `if`, whose results these are, with what the second one does after it."""
        end = side.terminator
        if not isinstance(end, Yield):
            return None
        flag = end.values[self._place]
        if flag is True or flag is False:
            chosen = self._second.then if flag else self._second.orelse
            if not isinstance(chosen.terminator, Yield):
                return None
            self.copies += bool(chosen.ops)
            inside = filled(chosen, dict(zip(results, end.values, strict=True)))
            assert isinstance(inside.terminator, Yield)
            return Block([*side.ops, *inside.ops], Yield([*end.values, *inside.terminator.values]))
        last = side.ops[-1] if side.ops else None
        if not isinstance(last, If) or flag not in last.results:
            return None
        # The results of the first `if` are, in its side, what that yields.
        second = filled(Block([self._second]), dict(zip(results, end.values, strict=True))).ops[0]
        assert isinstance(second, If)
        inner = _Moving(last.results.index(flag), second, self._numbers)
        sides = [inner.side(one, last.results) for one in last.blocks]
        self.copies += inner.copies
        if sides[0] is None or sides[1] is None:
            return None
        own = [Value(next(self._numbers), one.type) for one in self._second.results]
        made = replace(last, then=sides[0], orelse=sides[1], results=[*last.results, *own])
        return Block([*side.ops[:-1], made], Yield([*end.values, *own]))


# ------------------------------------------------------------------ pruning


class _Pruning(Rewriter):
    """Leaves out what is joined and not used."""

    def __init__(self, program: Program):
        self._uses = Uses(program.body)
        self._kept: list[Sequence[int]] = []

    def op(self, op: Op) -> Op:
        match op:
            case If():
                kept = self._uses.used(op.results)
                then, orelse = (self._ending(block, kept) for block in op.blocks)
                return replace(op, then=then, orelse=orelse, results=[op.results[at] for at in kept])
            case While():
                kept, carried = self._uses.used(op.results), self._uses.used(op.params)
                return replace(
                    op,
                    params=[op.params[at] for at in carried],
                    inits=[op.inits[at] for at in carried],
                    test=self._ending(op.test, kept),
                    body=self._ending(op.body, carried),
                    results=[op.results[at] for at in kept],
                )
        return super().op(op)

    def _ending(self, block: Block, kept: Sequence[int]) -> Block:
        self._kept.append(kept)
        made = self.block(block)
        self._kept.pop()
        return made

    def terminator(self, terminator: Terminator) -> Terminator:
        kept = self._kept[-1] if self._kept else ()

        def of(trees: list[Any]) -> list[Any]:
            return [trees[at] for at in kept]

        match terminator:
            case Yield(values):
                return Yield(of(values))
            case Continue(values):
                return Continue(of(values))
            case Condition(go_on, exits):
                return Condition(go_on, of(exits))
            case Branch(condition, then, orelse):
                return Branch(condition, self.block(then), self.block(orelse))
        return super().terminator(terminator)

"""Facts that do not depend on how a program is put: what decides, which joined values matter, and in which order."""

from __future__ import annotations

import builtins
import itertools
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Raise,
    Return,
    Terminator,
    Value,
    While,
    Yield,
    terminator_tree,
    values_in,
    walk_blocks,
    walk_ops,
)
from d2s.runtime.ir.rewriting import Rewriter


class Truths:
    """What conditions come down to: `if not c` is `if c` with its blocks exchanged, `if bool(c)` is `if c`."""

    def __init__(self, body: Block):
        used = set(_used_as_values(body))
        # Flags that only decide something: what they are the truth of, and whether they are the opposite of it.
        self._of = {
            op.results[0]: found
            for op in walk_ops(body)
            if (found := _truth(op)) is not None and op.results[0] not in used
        }

    def has(self, op: Op) -> bool:
        """Whether an op does nothing but give such a flag."""
        return len(op.results) == 1 and op.results[0] in self._of

    def of(self, value: Value) -> tuple[Value, bool]:
        """What a condition is the truth of, and whether it is the opposite."""
        opposite = False
        while value in self._of:
            value, other = self._of[value]
            opposite ^= other
        return value, opposite

    def fork(self, fork: If | Branch) -> tuple[Value, Block, Block]:
        """The condition of a fork, and its blocks for when that is true and when it is not."""
        base, opposite = self.of(fork.condition)
        return (base, fork.orelse, fork.then) if opposite else (base, fork.then, fork.orelse)


def _used_as_values(body: Block) -> Iterator[Value]:
    """What is used for more than to decide something."""
    for block in walk_blocks(body):
        for op in block.ops:
            if not isinstance(op, If) and _truth(op) is None:
                yield from op.operands
        end = block.terminator
        if not isinstance(end, Branch):
            yield from values_in(end.exits if isinstance(end, Condition) else terminator_tree(end))


def _truth(op: Op) -> tuple[Value, bool] | None:
    """What an op gives the truth of, and whether it gives the opposite; None for another op."""
    match op:
        case Call(target=operator.not_ | builtins.bool as target, args=(Value() as value,), result=Value()):
            return value, target is operator.not_
        case If(condition=condition, then=Block([], Yield([bool(then)])), orelse=Block([], Yield([bool(orelse)]))):
            return (condition, orelse) if then is not orelse else None
    return None


# ------------------------------------------------------------------ joins


class Uses:
    """Where values are used first, through all that they become where paths join.

    Of the calls that `only_compute` says, nothing but their results is used.
    """

    def __init__(
        self, body: Block, truths: Truths | None = None, only_compute: Callable[[Call], bool] = lambda call: False
    ):
        self._truths = truths or Truths(Block())
        self._only_compute = only_compute
        self._places = itertools.count()
        self._first: dict[Value, int] = {}
        self._becomes: list[tuple[Value, Value]] = []
        self._block(body, ())
        changed = True
        while changed:
            changed = False
            for source, target in reversed(self._becomes):  # what is used last is known first
                changed |= target in self._first and self._use(source, self._first[target])

    def order(self, values: Sequence[Value]) -> list[int]:
        """The positions of values among these, those that are used first first; what nothing uses is left out."""
        used = [place for place, value in enumerate(values) if value in self._first]
        return sorted(used, key=lambda place: self._first[values[place]])

    def used(self, values: Sequence[Value]) -> list[int]:
        """The positions of those values among these that something uses."""
        return sorted(self.order(values))

    def _use(self, value: Value, place: int) -> bool:
        if value in self._first and self._first[value] <= place:
            return False
        self._first[value] = place
        return True

    def _used(self, tree: Any) -> None:
        for value in values_in(tree):
            self._use(value, next(self._places))

    def _joined(self, targets: Sequence[Value], trees: Sequence[Any]) -> None:
        for target, tree in zip(targets, trees, strict=True):
            self._becomes += [(source, target) for source in values_in(tree)]

    def _block(self, block: Block, targets: Sequence[Value]) -> None:
        for op in block.ops:
            if not self._truths.has(op):
                self._op(op)
        match block.terminator:
            case Branch() as fork:
                self._fork(fork, targets)
            case Yield(values) | Continue(values):
                self._joined(targets, values)
            case Condition(go_on, exits):
                self._used(self._truths.of(go_on)[0] if isinstance(go_on, Value) else go_on)
                self._joined(targets, exits)
            case end:
                self._used(terminator_tree(end))

    def _fork(self, fork: If | Branch, targets: Sequence[Value]) -> None:
        condition, *blocks = self._truths.fork(fork)
        self._used(condition)
        for block in blocks:
            self._block(block, targets)

    def _op(self, op: Op) -> None:
        match op:
            case Call() if self._only_compute(op):
                self._becomes += [(operand, result) for operand in op.operands for result in op.results]
            case Call():
                self._used((op.args, op.kwargs))
            case If():
                self._fork(op, op.results)
            case While():
                self._joined(op.params, op.inits)
                self._block(op.test, op.results)
                self._block(op.body, op.params)


# ------------------------------------------------------------------ forks


def with_forks(block: Block) -> Block:
    """A block that leaves the program, with a fork in place of an `if` after which it only returns."""
    end = block.terminator
    if isinstance(end, Branch):
        return Block(block.ops, Branch(end.condition, with_forks(end.then), with_forks(end.orelse)))
    if not block.ops or not isinstance(block.ops[-1], If) or not isinstance(end, Return | Raise):
        return block
    last = block.ops[-1]
    then, orelse = (with_forks(moved_into(side, last.results, end)) for side in last.blocks)
    return Block(block.ops[:-1], Branch(last.condition, then, orelse))


def moved_into(side: Block, results: Sequence[Value], end: Terminator) -> Block:
    """The block of an `if` with these results, which goes on to the end of the block around it."""
    own = side.terminator
    if isinstance(own, Branch):
        then, orelse = (moved_into(one, results, end) for one in (own.then, own.orelse))
        return Block(side.ops, Branch(own.condition, then, orelse))
    if not isinstance(own, Yield):
        return side
    given = dict(zip(results, own.values, strict=True))
    return Block(side.ops, _Filling(given).terminator(end))


def filled(block: Block, given: Mapping[Value, Any]) -> Block:
    """A block with trees in place of values."""
    return _Filling(given).block(block)


class _Filling(Rewriter):
    """Puts trees in place of values."""

    def __init__(self, given: Mapping[Value, Any]):
        self._given = given

    def value(self, value: Value) -> Any:
        return self._given.get(value, value)


# ------------------------------------------------------------------ loops


def without_carried(loop: While, carried: Value) -> While:
    """The loop without one of its carried values, and without the results that it would be."""
    place = loop.params.index(carried)
    kept = [at for at, one in enumerate(loop.exits) if one != carried]
    condition = loop.test.terminator
    assert isinstance(condition, Condition)
    return replace(
        loop,
        params=_but(loop.params, place),
        inits=_but(loop.inits, place),
        test=Block(loop.test.ops, Condition(condition.go_on, [condition.exits[at] for at in kept])),
        body=_without_value(loop.body, place),
        results=[loop.results[at] for at in kept],
    )


def _without_value(block: Block, place: int) -> Block:
    end = block.terminator
    if isinstance(end, Branch):
        sides = (_without_value(end.then, place), _without_value(end.orelse, place))
        return Block(block.ops, Branch(end.condition, *sides))
    return Block(block.ops, type(end)(_but(end.values, place)) if isinstance(end, Continue) else end)


def _but(items: Sequence[Any], place: int) -> list[Any]:
    return [item for at, item in enumerate(items) if at != place]

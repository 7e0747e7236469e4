"""Changes a program in place: where an op stands, who uses a value, trees in place of values, and all as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from d2s.runtime.ir.program import (
    Block,
    Op,
    Program,
    Terminator,
    Tree,
    Value,
    While,
    terminator_tree,
    values_in,
    walk_blocks,
    walk_ops,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.values import defined_by


def place_of(program: Program, op: Op) -> tuple[Block, int] | None:
    """The block that an op stands in, and where; None if the program has no such op."""
    for block in walk_blocks(program.body):
        for index, one in enumerate(block.ops):
            if one is op:
                return block, index
    return None


def all_values(program: Program) -> Iterator[Value]:
    """The values that a program defines."""
    yield from (entry.value for entry in program.inputs)
    for op in walk_ops(program.body):
        yield from defined_by(op)


def fresh_number(program: Program) -> int:
    """A number that no value of a program has, nor one after it."""
    return 1 + max((value.number for value in all_values(program)), default=-1)


def users_of(program: Program, value: Value) -> list[Op | Terminator]:
    """The ops and ends of blocks that use a value directly."""
    found: list[Op | Terminator] = []
    for block in walk_blocks(program.body):
        found += (op for op in block.ops if value in op.operands)
        if block.terminator is not None and value in values_in(terminator_tree(block.terminator)):
            found.append(block.terminator)
    return found


def definition_of(program: Program, value: Value) -> Op | None:
    """The op that defines a value; None for an input."""
    for op in walk_ops(program.body):
        if value in defined_by(op):
            return op
    return None


def substitute(program: Program, new: Mapping[Value, Tree]) -> None:
    """Have trees in place of the uses of some values, from where the values of a tree are defined."""
    take_over(program, _Substitution(new).program(program))


class _Substitution(Rewriter):
    def __init__(self, new: Mapping[Value, Tree]):
        self._new = {old: (tree, set(values_in(tree))) for old, tree in new.items()}
        self._visible: set[Value] = set()

    def value(self, value: Value) -> Any:
        tree, needed = self._new.get(value, (value, self._visible))
        return tree if needed <= self._visible else value

    def define(self, value: Value) -> Value:
        self._visible.add(value)
        return value

    def block(self, block: Block) -> Block:
        outside = set(self._visible)
        made = super().block(block)
        self._visible = outside
        return made

    def trip(self, op: While) -> tuple[Block, Block]:
        outside = set(self._visible)
        test = super().block(op.test)
        body = super().block(op.body)
        self._visible = outside
        return test, body


def take_over(program: Program, other: Program) -> None:
    """Have a program be what one is that was made of it, op by op: its blocks and ops stay the same objects."""
    _take_over_block(program.body, other.body)
    program.inputs = other.inputs


def _take_over_block(old: Block, new: Block) -> None:
    for mine, other in zip(old.ops, new.ops, strict=True):
        _take_over_fields(mine, other)
    if old.terminator is not None:
        _take_over_fields(old.terminator, new.terminator)


def _take_over_fields(old: Any, new: Any) -> None:
    for name, thing in vars(new).items():
        if isinstance(thing, Block):
            _take_over_block(getattr(old, name), thing)
        else:
            setattr(old, name, thing)


class Snapshot:
    """What a program consisted of, to be had back."""

    def __init__(self, program: Program):
        blocks = list(walk_blocks(program.body))
        ends = [block.terminator for block in blocks if block.terminator is not None]
        parts: list[Any] = [program, *blocks, *(op for block in blocks for op in block.ops), *ends]
        self._parts = [(part, {name: _own(thing) for name, thing in vars(part).items()}) for part in parts]

    def restore(self) -> None:
        """Have the program be as it was."""
        for part, fields in self._parts:
            vars(part).update(fields)


def _own(thing: Any) -> Any:
    return list(thing) if isinstance(thing, list) else thing

"""Changes a program in place: where an op stands, who uses a value, trees in place of values, and all as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    Effects,
    If,
    Op,
    Program,
    Raise,
    Return,
    Terminator,
    Tree,
    Value,
    While,
    Yield,
    map_tree,
    terminator_tree,
    values_in,
    walk_blocks,
    walk_ops,
)


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
        yield from op.results
        if isinstance(op, While):
            yield from op.params


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
        if value in op.results or (isinstance(op, While) and value in op.params):
            return op
    return None


def substitute(program: Program, new: Mapping[Value, Tree]) -> None:
    """Have trees in place of the uses of some values, from where the values of a tree are defined."""
    visible = {entry.value for entry in program.inputs}
    _substitute_in_block(program.body, visible, [(old, tree, set(values_in(tree))) for old, tree in new.items()])


def _substitute_in_block(block: Block, visible: set[Value], pairs: list[tuple[Value, Tree, set[Value]]]) -> None:
    """`visible` gets the values that the block defines."""

    def new(tree: Any) -> Any:
        known = {old: other for old, other, needed in pairs if needed <= visible}
        return map_tree(lambda leaf: known.get(leaf, leaf) if isinstance(leaf, Value) else leaf, tree)

    for op in block.ops:
        _substitute_in_op(op, new)
        inside = visible | set(op.params) if isinstance(op, While) else visible
        for inner in op.blocks:
            seen = set(inside)
            _substitute_in_block(inner, seen, pairs)
            if isinstance(op, While):
                inside = seen  # a loop's body sees what its test defines
        visible.update(op.results)
    end = block.terminator
    if end is not None:
        _substitute_in_end(end, new)
    if isinstance(end, Branch):
        for side in (end.then, end.orelse):
            _substitute_in_block(side, set(visible), pairs)


def _substitute_in_op(op: Op, tree: Any) -> None:
    match op:
        case Call():
            op.args, op.kwargs = tree(op.args), tree(op.kwargs)
            writes, aliases = (tuple(values_in(tree(values))) for values in (op.effects.writes, op.effects.aliases))
            op.effects = Effects(writes, aliases, op.effects.random, op.effects.ordered)
        case If():
            op.condition = tree(op.condition)
        case While():
            op.inits = tree(op.inits)


def _substitute_in_end(end: Terminator, tree: Any) -> None:
    match end:
        case Yield() | Continue():
            end.values = tree(end.values)
        case Condition():
            end.go_on, end.exits = tree(end.go_on), tree(end.exits)
        case Return():
            end.value, end.writes = tree(end.value), [replace(one, value=tree(one.value)) for one in end.writes]
        case Raise():
            end.exception = tree(end.exception)
            end.writes = [replace(one, value=tree(one.value)) for one in end.writes]
        case Branch():
            end.condition = tree(end.condition)


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

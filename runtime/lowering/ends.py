"""The ends of a program: what it returns or raises, made again of the values that a lowered program gives.

Only tensors and numbers come out of a lowered program. The trees, the constants and the objects around them, such as
an exception with its text, belong to the end and are made when the program has come to it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from d2s.runtime.ir.canonical import tree_key
from d2s.runtime.ir.liveness import op_uses
from d2s.runtime.ir.program import (
    Block,
    Call,
    Op,
    Program,
    PythonType,
    Raise,
    Return,
    TensorType,
    Tree,
    Value,
    ValueType,
    Write,
    map_tree,
    terminator_tree,
    values_in,
)
from d2s.runtime.lowering.builder import DTYPES, is_number
from d2s.runtime.lowering.refusing import LoweringError


def is_lowered(kind: ValueType) -> bool:
    """Whether a lowered program has values of this type: tensors, and numbers."""
    return isinstance(kind, TensorType) or is_number(kind)


@dataclass(frozen=True)
class Slot:
    """The place of a value in what a lowered program returns, and what it is to the user."""

    place: int
    type: ValueType


@dataclass(frozen=True, eq=False)
class Made:
    """An object that an end makes by a call; the arguments may have slots in them."""

    target: Callable[..., Any]
    args: Tree
    kwargs: Tree


@dataclass(frozen=True)
class End:
    """One way for a program to end: what it returns or raises, and what it writes before, as trees with slots."""

    tree: Tree
    raises: bool
    writes: Sequence[Write]


class Ends:
    """The ends of a program that does not raise in a branch or a loop.

    `found` are the different ones, `are_several` is whether it ends in more than one place, `types` are those of what
    it returns. By the block that it ends in, `values` are what it returns there and `ops` what it does before.
    """

    def __init__(self, program: Program):
        self.found: list[End] = []
        self.types: list[ValueType] = []
        self.values: dict[Block, list[Tree]] = {}
        self.ops: dict[Block, list[Op]] = {}
        self._keys: list[Hashable] = []
        leaves = list(program.body.leaves())
        self.are_several = len(leaves) > 1
        given = [self._add(block) for block in leaves]
        for block, (number, values) in zip(leaves, given, strict=True):
            found = [values.get(place) for place in range(len(self.types))]
            self.values[block] = [number, *found] if len(self.found) > 1 else found
        if len(self.found) > 1:
            self.types.insert(0, PythonType(int))

    def _add(self, block: Block) -> tuple[int, dict[int, Tree]]:
        """The number of the end of a block, and the values at the places of its slots."""
        leaf = _Leaf(self, block)
        self.ops[block] = leaf.ops
        end = block.terminator
        assert isinstance(end, Return | Raise)
        tree, *written = (map_tree(leaf.part, one) for one in terminator_tree(end))
        writes = [replace(write, value=value) for write, value in zip(end.writes, written, strict=True)]
        places = [(write.kind, write.source) for write in writes]
        key = isinstance(end, Raise), tree_key([tree, *written]), tuple(places)
        if key not in self._keys:
            self._keys.append(key)
            self.found.append(End(tree, isinstance(end, Raise), writes))
        return self._keys.index(key), leaf.values

    def place(self, kind: ValueType, taken: dict[int, Tree]) -> int:
        """A place for a value of a type, one that another end has such a value at if it can be."""
        kind = replace(kind, requires_grad=False) if isinstance(kind, TensorType) else kind
        for place, other in enumerate(self.types):
            if other == kind and place not in taken:
                return place
        self.types.append(kind)
        return len(self.types) - 1


class _Leaf:
    """One block that a program ends in: what it does before, and the values that its end is made of."""

    def __init__(self, ends: Ends, block: Block):
        self.values: dict[int, Tree] = {}
        self._ends = ends
        self._slots: dict[Hashable, Slot] = {}
        self._made: dict[Value, Made] = {}
        self._calls = _made_at_the_end(block)
        self.ops = [op for op in block.ops if op not in self._calls.values()]

    def part(self, leaf: Any) -> Tree:
        """What stands for a leaf of the end's trees."""
        if isinstance(leaf, Value) and leaf in self._calls:
            return self._object(leaf)
        if isinstance(leaf, Value):
            if not is_lowered(leaf.type):
                raise LoweringError(f"an object of {leaf.type} that the program makes can't be lowered")
            return self._slot(leaf, leaf, leaf.type)
        if self._ends.are_several and type(leaf) in DTYPES:
            return self._slot((type(leaf), repr(leaf)), leaf, PythonType(type(leaf)))
        return leaf

    def _slot(self, key: Hashable, leaf: Any, kind: ValueType) -> Slot:
        if key not in self._slots:
            place = self._ends.place(kind, self.values)
            self.values[place] = leaf
            self._slots[key] = Slot(place, kind if isinstance(kind, PythonType) else self._ends.types[place])
        return self._slots[key]

    def _object(self, value: Value) -> Made:
        if value not in self._made:
            call = self._calls[value]
            self._made[value] = Made(call.target, map_tree(self.part, call.args), map_tree(self.part, call.kwargs))
        return self._made[value]


def _made_at_the_end(block: Block) -> dict[Value, Call]:
    """The calls of a block that only make an object which its end, or another such object, consists of."""
    last = set(values_in(terminator_tree(block.terminator)))
    found: dict[Value, Call] = {}
    for place, op in reversed(list(enumerate(block.ops))):
        if not isinstance(op, Call) or not isinstance(op.result, Value) or is_lowered(op.result.type):
            continue
        users = [one for one in block.ops[place + 1 :] if op.result in op_uses(one)]
        if _can_wait(op) and all(one in found.values() for one in users) and (users or op.result in last):
            found[op.result] = op
    return found


def _can_wait(call: Call) -> bool:
    """Whether a call makes the same object at the end; the text of a tensor would tell what was written since."""
    holds = call.target in (list, tuple, dict, set)
    return call.effects.pure and (holds or not any(isinstance(one.type, TensorType) for one in call.operands))


def made_of(tree: Tree, values: Sequence[Any], tensors: bool = False) -> Any:
    """A tree of an end, with values in place of its slots; numbers are made of tensors of them, or stay `tensors`."""
    made: dict[Made, Any] = {}

    def part(leaf: Any) -> Any:
        if isinstance(leaf, Slot):
            value = values[leaf.place]
            return leaf.type.python_type(value) if isinstance(leaf.type, PythonType) and not tensors else value
        if isinstance(leaf, Made):
            if leaf not in made:
                made[leaf] = leaf.target(*map_tree(part, leaf.args), **map_tree(part, leaf.kwargs))
            return made[leaf]
        return leaf

    return map_tree(part, tree)

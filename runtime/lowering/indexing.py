"""Makes one op of each index that is known only when the program runs: a number, or a tensor of one integer.

t5 = torch.Tensor.__getitem__(t3, (slice(None), t4))    ->    t5 = select_at(t3, 1, t4)
torch.Tensor.__setitem__(t3, t4, t6)                    ->    t7 = select_at(t3, 0, t4)
                                                              torch.Tensor.copy_(t7, t6)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.ir.program import Call, Op, Program, PythonType, TensorType, Tree, Value, leaves_of
from d2s.runtime.lowering.builder import TRUTH, Expander, as_tensor, number_type
from d2s.runtime.lowering.checks import check_all

_INDEX = number_type(int)
_EVERYTHING = slice(None)


def select_at(tensor: torch.Tensor, dimension: int, index: torch.Tensor) -> torch.Tensor:
    """The view of a tensor at an index, a tensor of one integer that is not negative, along a dimension."""
    return tensor.select(dimension, int(index))


def in_range(into: Expander, index: Value, size: Tree) -> Value:
    """A tensor of indices, each put in range, where a dimension is of this size; it is checked that all are."""
    assert isinstance(index.type, TensorType)
    last = into.call(torch.sub, size, 1, to=_INDEX) if isinstance(size, Value) else size - 1
    first = as_tensor(into, 0, torch.int64) if isinstance(size, Value) else 0
    inside = into.call(torch.clamp, index, first, last, to=index.type)
    same = into.call(torch.eq, inside, index, to=replace(index.type, dtype=torch.bool))
    check_all(into, same, "an index out of range")
    return inside


def size_along(into: Expander, tensor: Value, dimension: int) -> Tree:
    """The size of a tensor along a dimension, or a tensor of it if it is not known yet."""
    assert isinstance(tensor.type, TensorType)
    size = (tensor.type.shape or (1,))[dimension]
    if size is not None:
        return size
    return as_tensor(into, into.call(torch.Tensor.size, tensor, dimension, to=PythonType(int)), torch.int64)


def with_index_ops(program: Program) -> Program:
    """The program with `select_at` for what is indexed by a tensor of one integer.

    Raises:
        LoweringError: the bound of a slice is known only when the program runs.
    """
    return _Indexing(program).program(program)


def _is_index(leaf: Any) -> bool:
    """Whether a leaf of an index takes away the dimension that it stands at, and is not known yet."""
    kind = leaf.type if isinstance(leaf, Value) else None
    if not isinstance(kind, TensorType) or kind.dtype.is_floating_point:
        return False
    return kind.shape == () and kind.dtype not in (torch.bool, torch.uint8)


class _Indexing(Expander):
    def expand(self, op: Op) -> Op | None:
        if not isinstance(op, Call) or op.target not in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            return self.op(op)
        index = self.tree(op.args[1] if isinstance(op.args[1], tuple) else (op.args[1],))
        if any(isinstance(one, slice) and any(map(_is_index, leaves_of(one))) for one in index):
            raise self.refusal("a slice up to a number that the program computes can't be lowered")
        if not any(map(_is_index, index)):
            return self.op(op)
        selected = self._selected(self.value(op.args[0]), index)
        if op.target is torch.Tensor.__setitem__:
            value = self.tree(op.args[2])
            self.write(torch.Tensor.copy_ if isinstance(value, Value) else torch.Tensor.fill_, selected, value)
            return None
        self.replace(op.results[0], selected)
        return None

    def _selected(self, tensor: Value, index: tuple[Any, ...]) -> Value:
        """The view of a tensor at an index, of which some parts are not known yet."""
        assert isinstance(tensor.type, TensorType)
        parts = self._parts(index, len(tensor.type.shape))
        known = tuple(_EVERYTHING if _is_index(one) else one for one in parts)
        view, places = tensor, [one for one in parts if type(one) is not int]
        if any(one != _EVERYTHING for one in known):
            kind = replace(tensor.type, shape=_shape(tensor.type.shape, known))
            view = self.view(torch.Tensor.__getitem__, tensor, known, to=kind)
        for dimension in reversed(range(len(places))):
            if _is_index(places[dimension]):
                view = self._at(view, dimension, places[dimension])
        return view

    def _parts(self, index: tuple[Any, ...], rank: int) -> list[Any]:
        """The index with a part for each dimension."""
        if any(not (one is None or one is ... or type(one) in (int, slice) or _is_index(one)) for one in index):
            raise self.refusal("an index of tensors and of a number that the program computes can't be lowered")
        parts = list(index)
        missing = rank - sum(one is not None and one is not ... for one in parts)
        place = parts.index(...) if ... in parts else len(parts)
        return [*parts[:place], *[_EVERYTHING] * missing, *parts[place + 1 :]]

    def _at(self, tensor: Value, dimension: int, index: Value) -> Value:
        """The view at an index; it must be in range."""
        assert isinstance(tensor.type, TensorType)
        size = size_along(self, tensor, dimension)
        place = as_tensor(self, index, torch.int64)
        from_end = self.call(torch.lt, place, 0, to=TRUTH)
        place = self.call(torch.where, from_end, self.call(torch.add, place, size, to=_INDEX), place, to=_INDEX)
        inside = in_range(self, place, size)
        shape = (*tensor.type.shape[:dimension], *tensor.type.shape[dimension + 1 :])
        kind = replace(tensor.type, shape=shape)
        return self.view(select_at, tensor, dimension, inside, to=kind)


def _shape(sizes: tuple[int | None, ...], index: tuple[Any, ...]) -> tuple[int | None, ...]:
    """The shape at an index of constants."""
    found: list[int | None] = []
    left = iter(sizes)
    for part in index:
        if part is None:
            found.append(1)
            continue
        size = next(left)
        if isinstance(part, slice):
            found.append(None if size is None else len(range(*part.indices(size))))
    return tuple(found)

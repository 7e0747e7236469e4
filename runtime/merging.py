"""What two sides of a branch left in a place, made one: the same thing, or a value that the program chooses.

Tensors of one dtype and rank become a result of the `if`, numbers of one kind too, tuples of one length item by item.
Everything else can't be merged, and the branch forks.
"""

from __future__ import annotations

import enum
import types
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.numbers import is_run_time_number, number_kind
from d2s.runtime.program import PythonType, TensorType, Tree, Value, ValueType
from d2s.runtime.structures import rebuilt
from d2s.runtime.texts import is_run_time_text

if TYPE_CHECKING:
    from d2s.runtime.recorder import Recorder


class Unset(enum.Enum):
    """The value of a variable that will be set before it is read; it merges with anything."""

    UNSET = "unset"


UNSET = Unset.UNSET

_EQUAL_IS_SAME = (int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device, range)


class CannotMergeError(Exception):
    """Two things can't become one value; never leaves the runtime."""


def is_same(recorder: Recorder, left: Any, right: Any) -> bool:
    """Whether two things can't be told apart, now and when the program runs."""
    if left is right:
        return True
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return recorder.value_of(left) == recorder.value_of(right)
    if type(left) is not type(right):
        return False
    if is_run_time_number(left) or is_run_time_text(left):
        return left.value == right.value
    if isinstance(left, tuple):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(is_same(recorder, a, b) for a, b in pairs)
    if type(left) in _EQUAL_IS_SAME:
        # The texts differ for 0.0 and -0.0, which are equal, and agree for nan, which is not.
        return repr(left) == repr(right)
    return isinstance(left, types.MethodType) and left == right


class Merger:
    """Merges pairs for one branch; `results` are the values that it needs, each with what the two sides yield."""

    def __init__(self, recorder: Recorder):
        self.recorder = recorder
        self.results: list[tuple[Value, Tree, Tree]] = []
        self._made: dict[tuple[int, int], Any] = {}

    def merge(self, left: Any, right: Any) -> Any:
        """What stands for `left` on the one side and for `right` on the other.

        Raises:
            CannotMergeError: nothing can.
        """
        if is_same(self.recorder, left, right):
            return left
        key = (id(left), id(right))
        if key not in self._made:
            self._made[key] = self._merge(left, right)
        return self._made[key]

    def _merge(self, left: Any, right: Any) -> Any:
        if left is UNSET or right is UNSET:
            return self._merge_unset(left, right)
        if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
            joined = join_tensor_types(self.recorder.type_of(left), self.recorder.type_of(right))
            return self._result(joined, left, right)
        kind = number_kind(left)
        if kind is not None and kind is number_kind(right):
            return self._result(PythonType(kind), left, right)
        if isinstance(left, tuple) and type(left) is type(right) and len(left) == len(right):
            return rebuilt(left, [self.merge(a, b) for a, b in zip(left, right, strict=True)])
        raise CannotMergeError

    def merge_contents(self, left: Any, right: Any) -> Any:
        """Two contents of one container, item by item.

        Raises:
            CannotMergeError: they differ in length or in their keys.
        """
        if isinstance(left, dict):
            if list(left) != list(right):
                raise CannotMergeError
            return {key: self.merge(left[key], right[key]) for key in left}
        if isinstance(left, set):
            if left != right:
                raise CannotMergeError
            return left
        if len(left) != len(right):
            raise CannotMergeError
        return type(left)(self.merge(a, b) for a, b in zip(left, right, strict=True))

    def _merge_unset(self, left: Any, right: Any) -> Any:
        """The side that is unset yields whatever fits: it is not read."""
        known = right if left is UNSET else left
        if isinstance(known, torch.Tensor):
            return self._result(self.recorder.type_of(known), left, right)
        if is_run_time_number(known):
            return self._result(PythonType(known.kind), left, right)
        if is_run_time_text(known):
            return self._result(PythonType(str), left, right)
        if isinstance(known, tuple):
            unset = [UNSET] * len(known)
            pairs = zip(unset, known, strict=True) if left is UNSET else zip(known, unset, strict=True)
            return rebuilt(known, [self.merge(a, b) for a, b in pairs])
        return known

    def _result(self, value_type: ValueType, left: Any, right: Any) -> Any:
        value = self.recorder.fresh(value_type)
        self.results.append((value, self._tree(left), self._tree(right)))
        return self.recorder.stand_in(value)

    def _tree(self, thing: Any) -> Tree:
        return None if thing is UNSET else self.recorder.operand(thing)


def join_tensor_types(left: TensorType, right: TensorType) -> TensorType:
    """The type of a tensor that may be either.

    Raises:
        CannotMergeError: they differ in more than the sizes.
    """
    if left.dtype != right.dtype or left.device != right.device or len(left.shape) != len(right.shape):
        raise CannotMergeError
    sizes = tuple(a if a == b else None for a, b in zip(left.shape, right.shape, strict=True))
    return TensorType(left.dtype, sizes, left.device, left.requires_grad or right.requires_grad)

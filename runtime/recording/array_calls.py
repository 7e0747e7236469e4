"""Records a call of numpy: it is made on two examples, and what they have in common is known of what it gives."""

from __future__ import annotations

import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy
import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import (
    ArrayType,
    Effects,
    PythonType,
    Tree,
    Value,
    leaves_of,
    map_tree,
    values_in,
)
from d2s.runtime.recording.arrays import RunTimeArray, array_type, is_run_time_array
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.numbers import is_run_time_number
from d2s.runtime.recording.recorder import Recorder, type_of
from d2s.runtime.recording.specs import CannotJoinError, join_array_types, join_tensor_types
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import rebuilt
from d2s.runtime.torch_internals.modes import without_modes


@dataclass(frozen=True)
class _Attempt:
    """What stands in the two examples for unknown sizes and numbers, and whether matrices are positive definite."""

    sizes: tuple[int, int]
    numbers: tuple[int, int]
    definite: bool = False


# In order: the first that numpy takes decides. A small size shows what slices clip, a large one has more items.
_ATTEMPTS = (
    _Attempt((2, 89), (0, 1)),
    _Attempt((23, 89), (2, 3)),
    _Attempt((23, 89), (23, 89)),
    _Attempt((23, 89), (0, 1), definite=True),
)
# What numpy and torch say where types don't fit, whatever the arrays hold.
_OF_TYPES = re.compile(
    "broadcast|core dimension|cannot reshape|must match|for array of dimension|not aligned|requires grad|ambiguous"
)


def record_array_call(
    recorder: Recorder,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    checked: bool = False,
    ordered: bool = False,
) -> Any:
    """`function(*args, **kwargs)`, which is numpy's or takes arrays, as an op; what it gives.

    `checked` is whether the type of that follows from the types of the arguments. An `ordered` call does more than to
    give it and to write its arguments.
    """
    for leaf in leaves_of((args, kwargs)):
        if isinstance(leaf, torch.Tensor):
            recorder.fake(leaf)  # now, for the examples are made outside of the recording
    runs = _run_on_examples(recorder, function, args, kwargs)
    try:
        result, seen = _Common(recorder, runs, checked).of(runs[0].answer, runs[1].answer)
    except CannotJoinError:
        raise _not_recorded(function, "what kind of thing it gives depends on the values") from None
    written = [leaf for run in runs for leaf in run.written]
    for leaf in filter(_is_known_array, written):
        raise recorder.arrays.found(leaf) or _not_recorded(function, "an array that is known is changed")
    args, kwargs = map_tree(lambda leaf: _kept(recorder, leaf), (args, kwargs))
    if result is not None or seen is None or written or ordered:
        aliases = [leaf for run in runs for leaf in run.shared]
        writes, shared = (_values(recorder, leaves) for leaves in (written, aliases))
        recorder.emit_call(function, args, kwargs, result, Effects(writes, shared, ordered=ordered or seen is None))
    if written:
        recorder.facts.forget_tensors()
    return seen


class _Run:
    """A call on examples: what stood for each leaf, how that was before, and what the call gave."""

    def __init__(self, recorder: Recorder, number: int, attempt: _Attempt):
        self._recorder = recorder
        self.number = number
        self._attempt = attempt
        self._made: dict[int, tuple[Any, Any, Any]] = {}
        self.answer: Any = None
        self.written: list[Any] = []
        self.shared: list[Any] = []

    def __call__(self, leaf: Any) -> Any:
        """What stands for a leaf: always the same for the same."""
        if not (is_staged(leaf) or _is_known_array(leaf)):
            return leaf
        if id(leaf) not in self._made:
            made = self._example(leaf)
            self._made[id(leaf)] = leaf, made, _state(made)
        return self._made[id(leaf)][1]

    def _example(self, leaf: Any) -> Any:
        if _is_known_array(leaf):
            return leaf.copy()
        if isinstance(leaf, torch.Tensor):
            made = torch.from_numpy(self._filled(leaf, numpy.dtype(float)))
            return made.to(leaf.dtype).requires_grad_(leaf.requires_grad)
        if is_run_time_number(leaf):
            return self._number(leaf)
        if is_run_time_sequence(leaf):
            return [map_tree(self, self._recorder.lists.example(leaf)) for _ in range(2 + self.number)]
        if not is_run_time_array(leaf):
            raise _not_recorded(type(leaf), "it is given to a function of numpy's")
        made = self._filled(leaf, leaf.type.dtype)
        return made if leaf.type.kind is numpy.ndarray else made[()]

    def _number(self, number: Any) -> Any:
        if number.kind is int:
            unknown = self._attempt.numbers[self.number]
            return self._recorder.world.with_values(number.node, lambda symbol: unknown)
        return self.number == 0 if number.kind is bool else 0.25 * (self.number + 1)

    def _filled(self, leaf: Any, dtype: Any) -> Any:
        unknown = self._attempt.sizes[self.number]
        shape = tuple(unknown if size is None else size for size in _shape_of(self._recorder, leaf))
        return _filled(shape, dtype, self.number, self._attempt.definite)

    def leaf_of(self, thing: Any) -> Any:
        """The leaf that a thing stands for; None for any other thing."""
        return next((leaf for leaf, made, _ in self._made.values() if made is thing), None)

    def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Exception | None:
        """Make the call, and note which leaves it changes and of which the answer may share memory.

        The exception if it raises one.
        """
        try:
            self.answer = function(*args, **kwargs)
        except Exception as error:
            return error
        made = list(self._made.values())
        self.written = [leaf for leaf, example, before in made if _state(example) != before]
        parts = [part for part in leaves_of(self.answer) if isinstance(part, numpy.ndarray | torch.Tensor)]
        self.shared = [leaf for leaf, example, _ in made if any(_may_share(part, example) for part in parts)]
        return None


def _run_on_examples(recorder: Recorder, function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[_Run, _Run]:
    """The call made on two examples, as the first of the tries that it takes.

    Raises:
        CaptureError: it takes none.
        Exception: what numpy raises whatever the arrays hold.
    """
    failures: list[Exception] = []
    for attempt in _ATTEMPTS:
        runs = _Run(recorder, 0, attempt), _Run(recorder, 1, attempt)
        failed = [error for run in runs if (error := _called(run, function, args, kwargs)) is not None]
        if not failed:
            return runs
        failures += failed
    given = leaves_of((args, kwargs))
    sizes = [size for leaf in given if is_staged(leaf) for size in _shape_of(recorder, leaf)]
    if None not in sizes and all(_is_of_types(error, function, given) for error in failures):
        raise recorder.error_of_users(failures[0].with_traceback(None), function, args, kwargs) from None
    raise _not_recorded(function, str(failures[0])) from failures[0]


def _is_of_types(error: Exception, function: Any, given: list[Any]) -> bool:
    """Whether a call raises this whatever numbers and arrays of such types it is given."""
    if isinstance(error, TypeError):
        return True
    if any(not isinstance(leaf, torch.Tensor) and not is_run_time_array(leaf) for leaf in filter(is_staged, given)):
        return False
    if function in (operator.getitem, operator.setitem):
        return isinstance(error, IndexError) and not any(map(is_staged, given[1:]))
    return _OF_TYPES.search(str(error)) is not None


def _called(run: _Run, function: Callable[..., Any], args: Any, kwargs: Any) -> Exception | None:
    """Make the call on one example; the exception if it raises one."""
    with without_modes(), numpy.errstate(all="ignore"), warnings.catch_warnings(), _same_random_numbers():
        warnings.simplefilter("ignore")
        return run.call(function, *map_tree(run, (args, kwargs)))


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """What numpy's generator draws inside is drawn again afterwards."""
    before = numpy.random.get_state()
    try:
        yield
    finally:
        numpy.random.set_state(before)


def _filled(shape: tuple[int, ...], dtype: Any, number: int, definite: bool) -> Any:
    """An array of the first or the second example: they differ in what depends on values."""
    if dtype.kind not in "fc":
        flat = numpy.ones(math.prod(shape), dtype)
        if number == 0:
            flat[::2] = 0
        return flat.reshape(shape)
    generator = numpy.random.Generator(numpy.random.PCG64(number))
    made = numpy.asarray(generator.random(shape) + 0.1 if number == 0 else generator.normal(size=shape).round(1))
    if definite and made.ndim > 1 and shape[-1] == shape[-2]:
        made = made @ made.swapaxes(-1, -2) + numpy.eye(shape[-1])
    return made.astype(dtype)


def _state(example: Any) -> Any:
    """What an array holds, and how often a tensor was written."""
    if isinstance(example, numpy.ndarray):
        return example.tobytes()
    return example._version if isinstance(example, torch.Tensor) else None


def _may_share(part: Any, made: Any) -> bool:
    """Whether two arrays or tensors may share memory."""
    if not isinstance(made, numpy.ndarray | torch.Tensor):
        return False
    left, right = (thing.detach().numpy() if isinstance(thing, torch.Tensor) else thing for thing in (part, made))
    return numpy.may_share_memory(left, right)


class _Common:
    """Makes one answer of two: its tree in the program, and what stands for it."""

    def __init__(self, recorder: Recorder, runs: tuple[_Run, _Run], checked: bool):
        self._recorder = recorder
        self._runs = runs
        self._checked = checked

    def of(self, left: Any, right: Any) -> tuple[Tree, Any]:
        """One answer for two.

        Raises:
            CannotJoinError: there is none.
        """
        argument = self._runs[0].leaf_of(left)
        if argument is not None and argument is self._runs[1].leaf_of(right):
            return None, argument
        if isinstance(left, numpy.ndarray | numpy.generic) and isinstance(right, numpy.ndarray | numpy.generic):
            return self._array(join_array_types(array_type(left), array_type(right)))
        if type(left) is not type(right):
            raise CannotJoinError(left, right)
        if isinstance(left, torch.Tensor):
            return self._tensor(left, right)
        if type(left) in (bool, int, float):
            value = self._recorder.fresh(PythonType(type(left)))
            return value, self._recorder.number(type(left), value)
        if isinstance(left, tuple | list) and len(left) == len(right):
            parts = [self.of(*pair) for pair in zip(left, right, strict=True)]
            return tuple(result for result, _ in parts), rebuilt(left, [seen for _, seen in parts])
        if left is None or (isinstance(left, numpy.dtype | str) and left == right):
            return None, left
        raise CannotJoinError(left, right)

    def _array(self, joined: ArrayType) -> tuple[Tree, Any]:
        if joined.dtype.kind not in "biufc":
            raise CannotJoinError(joined, joined)
        value = self._recorder.fresh(joined)
        return value, RunTimeArray(self._recorder, value, self._checked)

    def _tensor(self, left: torch.Tensor, right: torch.Tensor) -> tuple[Tree, Any]:
        value = self._recorder.fresh(join_tensor_types(type_of(left), type_of(right)))
        return value, self._recorder.stand_in(value)


def _values(recorder: Recorder, leaves: list[Any]) -> tuple[Value, ...]:
    """The values of the program among some leaves."""
    return tuple(dict.fromkeys(values_in([recorder.operand(leaf) for leaf in leaves])))


def _kept(recorder: Recorder, leaf: Any) -> Any:
    """A leaf that stays as it is: an array that the call has made may hold something else later."""
    is_made = _is_known_array(leaf) and recorder.reachable.find(leaf) is None
    return leaf.copy() if is_made else leaf


def _shape_of(recorder: Recorder, leaf: Any) -> tuple[int | None, ...]:
    """What is known of the shape of a tensor or an array."""
    if isinstance(leaf, torch.Tensor):
        return recorder.type_of(leaf).shape
    return leaf.type.shape if is_run_time_array(leaf) else ()


def _is_known_array(leaf: Any) -> bool:
    return issubclass(type(leaf), numpy.ndarray)


def _not_recorded(function: Any, why: str) -> CaptureError:
    name = getattr(function, "__name__", str(function))
    return CaptureError("D2S101", f"{name}: {why}", "compute with functions of torch", user_location())

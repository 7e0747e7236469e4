"""Records a call of numpy: it is made on two examples, and what they have in common is known of what it gives."""

from __future__ import annotations

import copy
import math
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy
import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import PURE, ArrayType, Effects, PythonType, TensorType, Tree, leaves_of, map_tree
from d2s.runtime.recording.arrays import RunTimeArray, array_type, is_run_time_array, join_array_types
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.numbers import is_run_time_number
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import rebuilt
from d2s.runtime.torch_internals import known_shape, without_modes

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

# What stands for unknown sizes, and for numbers of the run, in the two examples: the first pair that numpy takes.
_TRIES = ((23, 89), (2, 3), (0, 1))
# What numpy and torch say where types don't fit, whatever the arrays hold.
_OF_TYPES = re.compile(
    "broadcast|core dimension|cannot reshape|must match|for array of dimension|not aligned|requires grad"
)


class _DifferError(Exception):
    """Two examples give answers that can't stand for one."""


def record_array_call(
    recorder: Recorder,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    checked: bool = False,
    effects: Effects = PURE,
) -> Any:
    """`function(*args, **kwargs)`, which is numpy's or takes arrays, as an op; what it gives.

    `checked` is whether the type of that follows from the types of the arguments.
    """
    args, kwargs = map_tree(lambda leaf: _kept(recorder, leaf), (args, kwargs))
    runs = _run_on_examples(recorder, function, args, kwargs)
    try:
        result, seen = _Common(recorder, runs, checked).of(runs[0].answer, runs[1].answer)
    except _DifferError:
        raise _not_recorded(function, "what kind of thing it gives depends on the values") from None
    written = [leaf for run in runs for leaf in run.written]
    if any(map(_is_known_array, written)):
        raise _not_recorded(function, "an array that is known is changed")
    if result is not None or written or effects != PURE:
        aliases = [leaf for run in runs for leaf in run.shared]
        writes, shared = (tuple(dict.fromkeys(map(recorder.operand, leaves))) for leaves in (written, aliases))
        recorder.emit_call(function, args, kwargs, result, Effects(writes, shared, effects.random, effects.ordered))
    if written:
        recorder.facts.forget_tensors()
    return seen


class _Run:
    """A call on examples: what stood for each leaf, how that was before, and what the call gave."""

    def __init__(self, number: int, sizes: int):
        self.number = number
        self._size = sizes
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
            self._made[id(leaf)] = leaf, made, copy.copy(made)
        return self._made[id(leaf)][1]

    def _example(self, leaf: Any) -> Any:
        if _is_known_array(leaf):
            return leaf.copy()
        if isinstance(leaf, torch.Tensor):
            shape = self._shape(known_shape(leaf))
            made = torch.from_numpy(_filled(shape, numpy.dtype(float), self.number)).to(leaf.dtype)
            return made.requires_grad_(leaf.requires_grad)
        if is_run_time_number(leaf):
            return {int: self._size, float: 0.25 * (self.number + 1), bool: self.number == 0}[leaf.kind]
        if not is_run_time_array(leaf):
            raise _not_recorded(type(leaf), "it is given to a function of numpy's")
        made = _filled(self._shape(leaf.type.shape), leaf.type.dtype, self.number)
        return made if leaf.type.kind is numpy.ndarray else made[()]

    def _shape(self, shape: tuple[int | None, ...]) -> tuple[int, ...]:
        return tuple(self._size if size is None else size for size in shape)

    def leaf_of(self, thing: Any) -> Any:
        """The leaf that a thing stands for; None for any other thing."""
        return next((leaf for leaf, made, _ in self._made.values() if made is thing), None)

    def call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> None:
        """Make the call, and note which leaves it changes and of which the answer may share memory."""
        given, named = map_tree(self, (args, kwargs))
        self.answer = function(*given, **named)
        made = list(self._made.values())
        self.written = [leaf for leaf, example, before in made if _bytes(example) != _bytes(before)]
        parts = [part for part in leaves_of(self.answer) if isinstance(part, numpy.ndarray | torch.Tensor)]
        self.shared = [leaf for leaf, example, _ in made if any(_may_share(part, example) for part in parts)]


def _run_on_examples(recorder: Recorder, function: Callable[..., Any], args: Any, kwargs: Any) -> tuple[_Run, _Run]:
    """The call made on two examples, as the first of the tries that it takes.

    Raises:
        CaptureError: it takes none.
        Exception: what numpy raises whatever the arrays hold.
    """
    failures: list[Exception] = []
    for sizes in _TRIES:
        try:
            first, second = (_run(function, args, kwargs, number, size) for number, size in enumerate(sizes))
            return first, second
        except CaptureError:
            raise
        except Exception as error:
            failures.append(error)
    if all(isinstance(error, TypeError) or _OF_TYPES.search(str(error)) for error in failures):
        raise recorder.error_of_users(failures[0].with_traceback(None), function, args, kwargs) from None
    raise _not_recorded(function, str(failures[0])) from failures[0]


def _run(function: Callable[..., Any], args: Any, kwargs: Any, number: int, size: int) -> _Run:
    """The call made on one example."""
    run = _Run(number, size)
    with without_modes(), numpy.errstate(all="ignore"), warnings.catch_warnings(), _same_random_numbers():
        warnings.simplefilter("ignore")
        run.call(function, args, kwargs)
    return run


@contextmanager
def _same_random_numbers() -> Iterator[None]:
    """What numpy's generator draws inside is drawn again afterwards."""
    before = numpy.random.get_state()
    try:
        yield
    finally:
        numpy.random.set_state(before)


def _filled(shape: tuple[int, ...], dtype: Any, number: int) -> Any:
    """An array of the first or the second example: they differ in what depends on values."""
    generator = numpy.random.Generator(numpy.random.PCG64(number))
    if dtype.kind in "fc":
        return (generator.random(shape) + 0.1 if number == 0 else generator.normal(size=shape).round(1)).astype(dtype)
    flat = numpy.ones(math.prod(shape), dtype)
    if number == 0:
        flat[::2] = 0
    return flat.reshape(shape)


def _bytes(example: Any) -> bytes:
    return example.tobytes() if isinstance(example, numpy.ndarray) else b""


def _may_share(part: Any, made: Any) -> bool:
    """Whether two arrays or tensors may share memory."""
    if not isinstance(made, numpy.ndarray | torch.Tensor):
        return False
    arrays = [thing.detach().numpy() if isinstance(thing, torch.Tensor) else thing for thing in (part, made)]
    return bool(numpy.may_share_memory(*arrays))


class _Common:
    """Makes one answer of two: its tree in the program, and what stands for it."""

    def __init__(self, recorder: Recorder, runs: tuple[_Run, _Run], checked: bool):
        self._recorder = recorder
        self._runs = runs
        self._checked = checked

    def of(self, left: Any, right: Any) -> tuple[Tree, Any]:
        """One answer for two.

        Raises:
            _DifferError: there is none.
        """
        argument = self._runs[0].leaf_of(left)
        if argument is not None and argument is self._runs[1].leaf_of(right):
            return None, argument
        if isinstance(left, numpy.ndarray | numpy.generic) and isinstance(right, numpy.ndarray | numpy.generic):
            return self._array(join_array_types(array_type(left), array_type(right)))
        if type(left) is not type(right):
            raise _DifferError
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
        raise _DifferError

    def _array(self, joined: ArrayType | None) -> tuple[Tree, Any]:
        if joined is None or joined.dtype.kind not in "biufc":
            raise _DifferError
        value = self._recorder.fresh(joined)
        return value, RunTimeArray(self._recorder, value, self._checked)

    def _tensor(self, left: torch.Tensor, right: torch.Tensor) -> tuple[Tree, Any]:
        if left.dtype != right.dtype or left.dim() != right.dim():
            raise _DifferError
        sizes = tuple(a if a == b else None for a, b in zip(left.shape, right.shape, strict=True))
        value = self._recorder.fresh(TensorType(left.dtype, sizes, left.device, left.requires_grad))
        return value, self._recorder.stand_in(value)


def _kept(recorder: Recorder, leaf: Any) -> Any:
    """A leaf that stays as it is: an array that the call has made may hold something else later."""
    is_made = _is_known_array(leaf) and recorder.reachable.find(leaf) is None
    return leaf.copy() if is_made else leaf


def _is_known_array(leaf: Any) -> bool:
    return issubclass(type(leaf), numpy.ndarray)


def _not_recorded(function: Any, why: str) -> CaptureError:
    name = getattr(function, "__name__", str(function))
    return CaptureError("D2S101", f"{name}: {why}", "compute with functions of torch", user_location())

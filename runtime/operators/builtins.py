"""The operators that stand for Python's own functions where they are given values known only at run time."""

from __future__ import annotations

import builtins
import math
import operator
import random
import time
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import ORDERED
from d2s.runtime.operators.decisions import truth
from d2s.runtime.operators.shown import answered, quoted, shown
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.operators.temporaries import is_kept
from d2s.runtime.operators.tensor_classes import check_class, class_of
from d2s.runtime.operators.texts import formatted
from d2s.runtime.operators.writes import delete_attribute, set_named
from d2s.runtime.recording.arrays import is_run_time_array
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.locations import for_the_user, user_location
from d2s.runtime.recording.numbers import number_kind
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.surroundings import note_kinds
from d2s.runtime.recording.tables import is_run_time_table
from d2s.runtime.recording.texts import is_run_time_text


def _cast(kind: type, *names: str) -> Callable[..., Any]:
    def cast(*args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for(*args)
        if recorder is None or kwargs or len(args) != 1:
            answer = answered(kind, args[0], *names) if len(args) == 1 else NotImplemented
            return kind(*args, **kwargs) if answer is NotImplemented else answer
        return args[0] if number_kind(args[0]) is kind else recorder.number_call(kind, args, kind)

    return cast


int_ = _cast(int, "__int__", "__index__")
float_ = _cast(float, "__float__", "__index__")


def index_(value: Any) -> Any:
    """`operator.index(value)`."""
    recorder = recorder_for(value)
    if recorder is None:
        return operator.index(value)
    return value if number_kind(value) is int else recorder.number_call(operator.index, (value,), int)


def bool_(*args: Any) -> Any:
    """`bool(...)`."""
    return truth(args[0]) if len(args) == 1 else bool(*args)


def len_(value: Any) -> Any:
    """`len(value)`."""
    if is_run_time_sequence(value) or is_run_time_table(value):
        return value.length()
    if is_run_time_array(value) and value.sizes():
        return value.sizes()[0]
    if is_run_time_text(value):
        return value.recorder.number_call(len, (value,), int)
    answer = answered(len, value, "__len__")
    if answer is not NotImplemented:
        return answer
    if recorder_for(value) is None or not isinstance(value, torch.Tensor) or value.dim() == 0:
        return len(value)
    return value.shape[0]


def display(items: Any) -> Any:
    """`[a, b]`, or a dict or set: one that another loop or branch may make longer."""
    recorder = active_recorder()
    if recorder is None:
        return items
    return recorder.lists.made(items) if type(items) is list else recorder.tables.made(items)


def str_(*args: Any) -> Any:
    """`str(...)`."""
    return shown(*args) if len(args) == 1 else str(*args)


def repr_(value: Any) -> Any:
    """`repr(value)`."""
    return quoted(value)


def format_(value: Any, specification: Any = "") -> Any:
    """`format(value, specification)`."""
    return formatted(value, None, specification)


def type_(*args: Any) -> Any:
    """`type(...)`."""
    if len(args) == 1 and is_staged(args[0]):
        if is_run_time_array(args[0]):
            return args[0].relied_on().kind
        return class_of(args[0]) if isinstance(args[0], torch.Tensor) else args[0].__class__
    recorder = active_recorder()
    if len(args) == 1 and recorder is not None:
        recorder.reads.note(args[0], "__class__")
    return type(*args)


def _telling_kinds(function: Callable[..., bool]) -> Callable[..., bool]:
    """`isinstance` or `issubclass`: classes may be registered with an abstract one after a capture."""

    @for_the_user
    def told(thing: Any, kinds: Any) -> bool:
        answer = function(thing, kinds)
        recorder = active_recorder()
        if not answer and recorder is not None:
            check_class(thing, kinds if isinstance(kinds, tuple) else (kinds,))
        if recorder is not None and not is_staged(thing):
            note_kinds(recorder.reachable, thing if function is issubclass else type(thing), kinds)
        return answer

    return told


def _of_numbers(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math`, all of whose answers are of one type."""

    def operator(*args: Any, **kwargs: Any) -> Any:
        recorder = recorder_for(*args)
        if recorder is None:
            return function(*args, **kwargs)
        kind = int if function in _OF_INTS else type(function(*(1.0 for _ in args)))
        return recorder.number_call(function, args, kind, kwargs=kwargs)

    return operator


_MATH = """acos asin atan atan2 cos cosh degrees exp expm1 fabs floor ceil trunc hypot isfinite isinf isnan log log10
log1p log2 pow radians sin sinh sqrt tan tanh copysign fmod remainder isclose erf erfc gamma lgamma cbrt exp2
gcd lcm comb perm factorial isqrt"""
_OF_INTS = frozenset({math.gcd, math.lcm, math.comb, math.perm, math.factorial, math.isqrt})


def _text_of_number(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that gives the text of a number."""

    def text(value: Any) -> Any:
        recorder = recorder_for(value)
        return function(value) if recorder is None else recorder.text_call(function, (value,))

    return text


def ord_(text: Any) -> Any:
    """`ord(text)`."""
    return text.recorder.number_call(ord, (text,), int) if is_run_time_text(text) else ord(text)


def next_(iterator: Any, *default: Any) -> Any:
    """`next(iterator, default)`: what an iterator that is kept has given can't be taken back."""
    recorder = active_recorder()
    if recorder is not None and is_kept(iterator):
        recorder.once("takes items from an iterator")
    return next(iterator, *default)


def _drawn(function: Callable[..., Any], kind: type) -> Callable[..., Any]:
    """A function of Python's own generator, or a clock: the program asks it at each run."""

    def drawn(*args: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return function(*args)
        return recorder.number_call(function, args, kind, effects=ORDERED)

    return drawn


def _refused(code: str, function: Callable[..., Any], reason: str, remedy: str) -> Callable[..., Any]:
    """A function whose answer can't be part of a program."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        if active_recorder() is not None:
            raise CaptureError(code, f"{function.__name__}() {reason}", remedy)
        return function(*args, **kwargs)

    return refused


def set_grad_enabled(mode: Any) -> Any:
    """`torch.set_grad_enabled(mode)`: whether gradients are recorded is decided while recording."""
    if isinstance(mode, torch.Tensor):
        raise CaptureError("D2S101", "set_grad_enabled() gets a tensor", "give it bool(...) of it", user_location())
    return torch.set_grad_enabled(bool(mode) if is_staged(mode) else mode)


_FLOATS = (
    *(random.random, random.uniform, random.gauss, random.normalvariate, random.expovariate, random.betavariate),
    *(time.time, time.perf_counter, time.monotonic, time.process_time),
)

# Python's function -> the operator that takes its place in converted code.
REPLACEMENTS: dict[Any, Callable[..., Any]] = {
    builtins.int: int_,
    operator.index: index_,
    builtins.float: float_,
    builtins.bool: bool_,
    builtins.len: len_,
    builtins.str: str_,
    builtins.repr: repr_,
    builtins.format: format_,
    builtins.type: type_,
    builtins.next: next_,
    **{function: _telling_kinds(function) for function in (isinstance, issubclass)},
    builtins.ord: ord_,
    **{function: _text_of_number(function) for function in (hex, bin, oct, chr)},
    builtins.setattr: set_named,
    builtins.delattr: delete_attribute,
    torch.set_grad_enabled: set_grad_enabled,
    **{function: _drawn(function, float) for function in _FLOATS},
    **{function: _drawn(function, int) for function in (random.randint, random.randrange, random.getrandbits)},
    **{
        function: _refused("D2S302", function, "gives all variables at once", "name those that are needed")
        for function in (builtins.globals, builtins.locals)
    },
    **{
        function: _refused("D2S303", function, "runs a text as code", "write the code itself")
        for function in (builtins.eval, builtins.exec)
    },
    **{getattr(math, name): _of_numbers(getattr(math, name)) for name in _MATH.split()},
}

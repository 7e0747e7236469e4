"""Fallback by function: one that can't be captured runs in eager, and what it calls is captured on its own."""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from d2s.conversion import convert
from d2s.errors import ConversionError, SourceError
from d2s.runtime.ir.sources import class_entry
from d2s.runtime.operators.calls import in_eager
from d2s.runtime.operators.opaque import is_kept_dynamic
from d2s.runtime.recording.locations import is_left_alone
from d2s.runtime.recording.structures import tensors_in
from d2s.runtime.torch_internals.versions import untested

_NOT_CAPTURED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


class _Told(threading.local):
    reasons: tuple[tuple[str, str], ...] = ()


_told = _Told()


def was_told(error: ConversionError) -> bool:
    """Whether it was said already: by the function that calls this one, or when d2s was imported."""
    return (error.location, error.code) in _told.reasons or (error.code == "D2S901" and bool(untested()))


def run_in_eager(
    function: types.FunctionType,
    error: ConversionError,
    make_static: Callable[[Any], Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    """Call a function that could not be captured for the reason that `error` gives.

    `make_static` makes static what it calls.
    """
    form = _with_calls_rewritten(function)
    if form is None:
        return function(*args, **kwargs)
    before = _told.reasons
    _told.reasons = (*before, (error.location, error.code))
    try:
        with in_eager(functools.partial(_form, make_static)):
            return form(*args, **kwargs)
    finally:
        _told.reasons = before


def _form(make_static: Callable[[Any], Any], function: Any) -> Any:
    """What to call in place of a callable: a static form if it is code of the user's, else itself."""
    if isinstance(function, types.FunctionType):
        return functools.partial(_call, make_static, function) if _may_be_captured(function) else function
    if isinstance(function, types.MethodType) and isinstance(function.__func__, types.FunctionType):
        if _may_be_captured(function.__func__):
            return functools.partial(_call, make_static, function.__func__, function.__self__)
    elif isinstance(function, torch.nn.Module) and "forward" not in vars(function) and not is_kept_dynamic(function):
        forward = class_entry(type(function), "forward", None)  # that of TorchScript answers in its own way
        if isinstance(forward, types.FunctionType) and (function._modules or not is_left_alone(forward.__code__)):
            return functools.partial(_call_module, make_static, function)
    return function


def _may_be_captured(function: types.FunctionType) -> bool:
    code = function.__code__
    return not (is_kept_dynamic(function) or is_left_alone(code) or code.co_flags & _NOT_CAPTURED)


def _call(make_static: Callable[[Any], Any], function: types.FunctionType, *args: Any, **kwargs: Any) -> Any:
    """Call a function of the user's: as a program if it gets tensors and is the same at every call."""
    has_tensors = tensors_in((args, kwargs)) or any(isinstance(arg, torch.nn.Module) for arg in args)
    if has_tensors and "<locals>" not in function.__qualname__:
        return _static(make_static, function)(*args, **kwargs)
    return (_with_calls_rewritten(function) or function)(*args, **kwargs)


def _with_calls_rewritten(function: types.FunctionType) -> Any:
    """A function whose calls go through the operator for them; None if it has no source."""
    try:
        return convert(function, calls_only=True)
    except SourceError:
        return None


def _call_module(make_static: Callable[[Any], Any], module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """Call a module, with its hooks, so that its `forward` runs as a program."""
    own = vars(module)

    def forward(*args: Any, **kwargs: Any) -> Any:
        del own["forward"]
        return _static(make_static, type(module).forward)(module, *args, **kwargs)

    own["forward"] = forward
    try:
        return module(*args, **kwargs)
    finally:
        if own.get("forward") is forward:
            del own["forward"]


class _Forms(threading.local):
    def __init__(self) -> None:
        self.of: dict[Any, Any] = {}


_forms = _Forms()


@contextmanager
def fresh_forms() -> Iterator[None]:
    """Meanwhile nothing that was captured before by a fallback is used."""
    before, _forms.of = _forms.of, {}
    try:
        yield
    finally:
        _forms.of = before


def _static(make_static: Callable[[Any], Any], function: Any) -> Any:
    """The static form of a function, the same at each call; the functions are those of modules and classes."""
    if function not in _forms.of:
        _forms.of[function] = make_static(function)
    return _forms.of[function]

"""Functions of the user's that code which is not rewritten is given: those that it calls at once are rewritten.

What it does with others is watched: `net.py` tells if it calls one, and the snapshot if that has changed something.
"""

from __future__ import annotations

import builtins
import io
import re
import types
from collections.abc import Callable
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import map_tree
from d2s.runtime.ir.sources import is_users_name
from d2s.runtime.operators.texts import members
from d2s.runtime.recording.locations import (
    for_the_user,
    is_left_alone,
    is_of_ops,
    is_rewritten,
    is_users_function,
    package_of,
)
from d2s.runtime.recording.net import noticing_call
from d2s.runtime.recording.recorder import Recorder

# Modules whose functions call what they are given at once, and keep nothing of it.
_CALL_AT_ONCE = frozenset("re bisect _bisect heapq _heapq itertools json operator _operator".split())
_OF_PATTERNS = frozenset({"sub", "subn"})


def is_unwritten(function: Any) -> bool:
    """Whether a callable is a function, method or class that is not rewritten, and none that Python builds in."""
    if isinstance(function, type):
        return function.__module__ != "builtins" and not is_users_name(function.__module__)
    function = _function_of(function)
    if isinstance(function, types.FunctionType):
        return is_left_alone(function.__code__)
    is_of_c = isinstance(function, types.BuiltinFunctionType | types.MethodDescriptorType)
    return is_of_c and getattr(function, "__self__", None) is not builtins


def taking_callbacks(recorder: Recorder, function: Any, form: Callable[..., Any]) -> Callable[..., Any]:
    """The form of a function that is not rewritten, which may be given functions of the user's."""

    @for_the_user
    def called(*args: Any, **kwargs: Any) -> Any:
        given = members([args, kwargs])
        if any(issubclass(type(leaf), io.IOBase) for leaf in given):
            reason = f"{function.__name__}() is given a file or the like, which it may read or write"
            raise CaptureError("D2S308", reason, "call it before the static function or after")
        callbacks = [leaf for leaf in given if _is_callback(leaf)]
        if not callbacks and not _is_watched(function):
            return form(*args, **kwargs)
        if _calls_at_once(function):
            args, kwargs = map_tree(lambda leaf: _rewritten(recorder, leaf), (args, kwargs))
            return form(*args, **kwargs)
        for callback in callbacks:
            recorder.reachable.add_function(_function_of(callback))
        return watched(recorder, form)(*args, **kwargs)

    return called


def watched(recorder: Recorder, function: Callable[..., Any]) -> Callable[..., Any]:
    """The form of what is written in Python and not rewritten."""

    @for_the_user
    def called(*args: Any, **kwargs: Any) -> Any:
        with noticing_call(recorder):
            return function(*args, **kwargs)

    return called


def _is_watched(function: Any) -> bool:
    """Whether to watch what a function or class that is not rewritten calls: all in Python but torch's own."""
    function = _function_of(function)
    if isinstance(function, type):
        return package_of(function) not in ("torch", "d2s")
    return isinstance(function, types.FunctionType) and not is_of_ops(function.__code__)


def _rewritten(recorder: Recorder, leaf: Any) -> Any:
    return recorder.form_of(leaf) if _is_callback(leaf) else leaf


def _is_callback(leaf: Any) -> bool:
    function = _function_of(leaf)
    return is_users_function(function) and not is_rewritten(function.__code__)


def _function_of(thing: Any) -> Any:
    """The function of a method; any other thing itself."""
    return thing.__func__ if isinstance(thing, types.MethodType) else thing


def _calls_at_once(function: Any) -> bool:
    owner = getattr(function, "__self__", None)
    return package_of(function) in _CALL_AT_ONCE or (
        isinstance(owner, re.Pattern) and function.__name__ in _OF_PATTERNS
    )

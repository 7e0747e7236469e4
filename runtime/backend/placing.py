"""Calls that tell where in the code they stand, such as those of loggers: they stand where the user wrote them."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from typing import Any

from d2s.runtime.errors import Location
from d2s.runtime.ir.program import Call
from d2s.runtime.recording.outside import tells_its_place


def target_of(call: Call) -> Callable[..., Any]:
    """What a program calls for an op: its target, in a frame that is where the user's call stands if it is told."""
    is_told = call.location is not None and tells_its_place(call.target)
    if not is_told or call.kwargs.get("stacklevel", 1) != 1:
        return call.target
    assert call.location is not None
    return _placed(call.target, call.location)


def _placed(function: Callable[..., Any], place: Location) -> Callable[..., Any]:
    """The function, called from a line of the user's."""
    calling = _calling(function)
    code = calling.__code__.replace(
        co_filename=place.filename, co_firstlineno=place.line, co_name=place.function, co_qualname=place.function
    )
    return types.FunctionType(code, _globals_of(place.filename), function.__name__, None, calling.__closure__)


def _calling(function: Callable[..., Any]) -> types.FunctionType:
    made = lambda *args, **kwargs: function(*args, **kwargs)  # noqa: E731 (all of it stands in its first line)
    assert isinstance(made, types.FunctionType)
    return made


def _globals_of(filename: str) -> dict[str, Any]:
    """The variables of the module in a file, where warnings are noted that were given; none if it is not loaded."""
    loaded = (vars(module) for module in list(sys.modules.values()) if isinstance(module, types.ModuleType))
    return next((own for own in loaded if own.get("__file__") == filename), {})

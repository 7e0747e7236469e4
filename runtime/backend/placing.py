"""Calls that tell where in the code they stand, of loggers and of `warnings.warn`: they tell the user's line."""

from __future__ import annotations

import functools
import logging
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

from d2s.runtime.errors import Location
from d2s.runtime.ir.program import Call
from d2s.runtime.recording.outside import tells_its_place

# Of other methods, such as `warn`, which is old, the program's own line is told.
_LEVELS = {name.lower(): getattr(logging, name) for name in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")}


def target_of(call: Call) -> Callable[..., Any]:
    """What a program calls for an op: its target, or what does the same and tells the line of the op."""
    function, place = call.target, call.location
    if place is None or not tells_its_place(function) or call.kwargs.get("stacklevel", 1) != 1:
        return function
    if function is warnings.warn:
        return _warning(place) if len(call.args) < 3 else function
    logger = getattr(function, "__self__", None)
    kind = type(logger or logging.root)
    if kind._log is not logging.Logger._log or kind.findCaller is not logging.Logger.findCaller:
        return function
    if function.__name__ == "log":
        return _logging(logger, place)
    level = _LEVELS.get(function.__name__)
    return function if level is None else functools.partial(_logging(logger, place), level)


def _warning(place: Location) -> Callable[..., None]:
    own = _globals_of(place.filename)
    module = own.get("__name__", "<unknown>")

    def warn(message: Any, category: Any = None, stacklevel: int = 1, source: Any = None) -> None:
        given = message.__class__ if isinstance(message, Warning) else category or UserWarning
        registry = own.setdefault("__warningregistry__", {})
        warnings.warn_explicit(message, given, place.filename, place.line, module, registry, own, source)

    return warn


def _logging(logger: logging.Logger | None, place: Location) -> Callable[..., None]:
    """What logs as a logger does; as the functions of `logging` do without one.

    Of its named arguments those that ask for exceptions and stacks are off: others are refused.
    """

    def log(level: int, message: Any, *args: Any, extra: Any = None, **_: Any) -> None:
        if logger is None and not logging.root.handlers:
            logging.basicConfig()
        used = logger or logging.root
        if used.isEnabledFor(level):
            where = place.filename, place.line
            used.handle(used.makeRecord(used.name, level, *where, message, args, None, place.function, extra))

    return log


def _globals_of(filename: str) -> dict[str, Any]:
    """The variables of the module in a file, where warnings are noted that were given; none if it is not loaded."""
    loaded = (vars(module) for module in list(sys.modules.values()) if isinstance(module, types.ModuleType))
    return next((own for own in loaded if own.get("__file__") == filename), {})

"""Functions that are called for what they do to the world, such as `print`: the program calls them at each run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import ORDERED
from d2s.runtime.operators.shown import shown
from d2s.runtime.operators.texts import is_simple
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.recorder import Recorder


def of_effect(recorder: Recorder, function: Any) -> Callable[..., None]:
    """The form of such a function."""

    def recorded(*args: Any, **kwargs: Any) -> None:
        if function is warnings.warn:
            _check_filters(recorder)
        elif kwargs.get("exc_info") or kwargs.get("stack_info") or function.__name__ == "exception":
            reason = "a log tells of the exception that is handled, or of the calls that led here"
            raise CaptureError("D2S308", reason, "log the text of the exception", user_location())
        given = (arg if is_simple(arg) or _is_category(arg) else shown(arg) for arg in args)
        recorder.emit_call(function, tuple(given), kwargs, None, ORDERED)

    return recorded


def _check_filters(recorder: Recorder) -> None:
    """Go on only if a warning is given where the program runs as it is here, and raises nothing that is caught.

    Raises:
        CaptureError: the function has filters of its own, or one makes an error of it inside a `try`.
    """
    may_raise = any(action == "error" for action, *_ in warnings.filters)
    if warnings.filters is not recorder.filters or (may_raise and recorder.handlers):
        reason = "a warning is given under filters that the program does not run under, or is caught"
        raise CaptureError("D2S308", reason, "set the filters outside of the static function", user_location())


def _is_category(arg: Any) -> bool:
    """Whether this is a warning, or a class of warnings."""
    return isinstance(arg, Warning) or (isinstance(arg, type) and issubclass(arg, Warning))

"""Context variables: what a call sets and resets is followed while recording, what they hold outside is a guard."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import ContextValue
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.places import MISSING, ContextLocation
from d2s.runtime.recording.recorder import Recorder


def of_context(recorder: Recorder, method: Any) -> Callable[..., Any]:
    """The form of a method of a context variable. The recording runs in a context of its own."""
    variable: ContextVar[Any] = method.__self__
    location = ContextLocation(variable)

    def get(*default: Any) -> Any:
        if not recorder.journal.has(location):
            recorder.reachable.add_root(ContextValue(variable), location.read())
        return variable.get(*default)

    def set_(value: Any) -> Token[Any]:
        if location.read() is MISSING:
            reason = f"the context variable {variable.name} is set, and was not set before: that can't be undone"
            raise CaptureError("D2S308", reason, "give it a default", user_location())
        recorder.journal.note(location)
        recorder.left_contexts.add(variable)
        return variable.set(value)

    def reset(token: Token[Any]) -> None:
        recorder.journal.note(location)
        if token.old_value is recorder.journal.first(location):
            recorder.left_contexts.discard(variable)  # it is as it was, whatever that is
        variable.reset(token)

    return {"get": get, "set": set_, "reset": reset}[method.__name__]

"""Context variables: what a call sets and resets is followed while recording, what they hold outside is a guard."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from d2s.runtime.ir.sources import ContextValue
from d2s.runtime.recording.places import ContextLocation
from d2s.runtime.recording.recorder import Recorder


def of_context(recorder: Recorder, method: Any) -> Callable[..., Any]:
    """The form of a method of a context variable. The recording runs in a context of its own."""
    variable: ContextVar[Any] = method.__self__
    location = ContextLocation(variable)

    def get(*default: Any) -> Any:
        value = variable.get(*default)
        if not recorder.journal.has(location):
            recorder.reachable.add_root(ContextValue(variable), variable.get())
        return value

    def set_(value: Any) -> Token[Any]:
        recorder.journal.note(location)
        return variable.set(value)

    def reset(token: Token[Any]) -> None:
        recorder.journal.note(location)
        variable.reset(token)

    return {"get": get, "set": set_, "reset": reset}[method.__name__]

"""Handles of hooks that are known only when the program runs."""

from __future__ import annotations

from typing import Any

from d2s.runtime.ir.program import ORDERED, Value
from d2s.runtime.recording.staged import RunTimeValue


class RunTimeHandle(RunTimeValue):
    """The handle of a hook, known only when the program runs."""

    def __init__(self, recorder: Any, value: Value):
        self.recorder = recorder
        self.value = value

    def remove(self) -> None:
        """Take the hook away again."""
        self.recorder.emit_call(remove_hook, (self,), {}, None, ORDERED)


def remove_hook(handle: Any) -> None:
    """Take a hook away again."""
    handle.remove()

"""What happens to static functions, for those who want to know: logs and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from d2s.errors import ConversionError
from d2s.runtime.backend.execution import Executable


@dataclass(frozen=True)
class Event:
    """A function was captured as a program, or runs in eager because of an error."""

    function: Any
    outcome: Executable | ConversionError


listeners: list[Callable[[Event], None]] = []


def tell(function: Any, outcome: Executable | ConversionError) -> None:
    """Tell all who listen."""
    for listener in list(listeners):
        listener(Event(function, outcome))

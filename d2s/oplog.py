"""A log of the calls of torch that a run makes, with the user's lines; and where two such logs part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from d2s.runtime.backend.execution import place_of
from d2s.runtime.ir.names import display_name
from d2s.runtime.recording.locations import is_users
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.structures import tensors_in


@dataclass(frozen=True)
class Entry:
    """One call: the function of torch, the line of the user's (a text, file:line), and copies of what it gave."""

    function: str
    line: str
    outputs: tuple[torch.Tensor, ...]


class OpLog(TorchFunctionMode):
    """Keeps every call made inside that gives tensors. Those of a program count for the lines that it comes from."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        outputs = tensors_in(answer)
        if outputs and active_recorder() is None:
            copies = tuple(output.detach().clone() for output in outputs)
            self.entries.append(Entry(display_name(func), self._line(), copies))
        return answer

    def _line(self) -> str:
        frame = sys._getframe(2)
        while frame.f_back is not None:
            place = place_of(frame.f_code, frame.f_lineno)
            if place is not None:
                return str(place)
            if is_users(frame.f_code):
                return f"{frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back
        return "nowhere"


def first_difference(eager: OpLog, static: OpLog, same: Callable[[Any, Any], bool]) -> str | None:
    """The first call of which both logs know and that gave something else, in words; None if there is none."""
    position = 0
    for entry in static.entries:
        keys = ((other.function, other.line) for other in eager.entries[position:])
        offset = next((index for index, key in enumerate(keys) if key == (entry.function, entry.line)), None)
        if offset is None:
            continue
        other = eager.entries[position + offset]
        position += offset + 1
        if not same(list(other.outputs), list(entry.outputs)):
            return f"{entry.line}: {entry.function} is the first call that gives something else"
    return None

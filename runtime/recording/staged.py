"""The one question that the runtime asks most: is this known only when the program runs?"""

from __future__ import annotations

import torch

from d2s.runtime.recording.choices import is_run_time_choice
from d2s.runtime.recording.handles import RunTimeHandle
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.numbers import is_run_time_number
from d2s.runtime.recording.texts import is_run_time_text


def is_staged(thing: object) -> bool:
    """Whether a value is known only when the program runs."""
    if (
        isinstance(thing, torch.Tensor)
        or is_run_time_number(thing)
        or is_run_time_text(thing)
        or is_run_time_sequence(thing)
    ):
        return True
    return type(thing) is RunTimeHandle or is_run_time_choice(thing)

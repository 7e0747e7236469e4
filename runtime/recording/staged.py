"""The question that the runtime asks most: is this known only when the program runs?"""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.recording.choices import is_run_time_choice
from d2s.runtime.recording.handles import RunTimeHandle
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.numbers import is_run_time_number
from d2s.runtime.recording.tables import is_run_time_table
from d2s.runtime.recording.texts import is_run_time_text


def is_staged(thing: object) -> bool:
    """Whether a value is known only when the program runs."""
    if (
        isinstance(thing, torch.Tensor)
        or is_run_time_number(thing)
        or is_run_time_text(thing)
        or is_run_time_sequence(thing)
        or is_run_time_table(thing)
    ):
        return True
    return type(thing) is RunTimeHandle or is_run_time_choice(thing)


def is_run_time_key(key: Any) -> bool:
    """Whether the hash of a key is known only when the program runs.

    That of a tensor is the object's, and that of a choice has the recording fork.
    """
    if isinstance(key, tuple) and not is_staged(key):
        return any(map(is_run_time_key, key))
    return is_staged(key) and not isinstance(key, torch.Tensor) and not is_run_time_choice(key)

"""What stands for the values that are known only when the program runs, and the question whether something does."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.ir.program import Value


class RunTimeValue:
    """Something other than a tensor that is known only when the program runs.

    What it stands for, `value`, never changes, though the list or dict that this is may.
    """

    __slots__ = ()

    value: Value
    recorder: Any


def is_staged(thing: object) -> bool:
    """Whether a value is known only when the program runs."""
    return isinstance(thing, torch.Tensor) or issubclass(type(thing), RunTimeValue)

"""Checks: where a lowered program can't do what the program does, such as raise, its answer is void."""

from __future__ import annotations

import torch

from d2s.runtime.ir.program import ORDERED, Value
from d2s.runtime.lowering.builder import Expander


class Unlowered(Exception):
    """A lowered program came to where only the program itself can go on; it has changed nothing yet."""


def must(holds: torch.Tensor, reason: str) -> None:
    """Raise Unlowered unless a tensor of one bool is true.

    As the target of a call it marks a check of a lowered program; `reason` is for people.
    """
    if not holds:
        raise Unlowered(reason)


def check(into: Expander, holds: Value, reason: str) -> None:
    """Put a check where a pass has come to."""
    into.call_for_effect(must, holds, reason, effects=ORDERED)

"""Checks: where a lowered program can't do what the program does, such as raise, its answer is void.

must(t3, "division by zero")          ->    t5 = torch.logical_and(t4, t3)
                                            ...
                                            return (..., t5)

A loop stops where a check in it has failed.
"""

from __future__ import annotations

import torch

from d2s.runtime.ir.program import ORDERED, Program, TensorType, Value
from d2s.runtime.lowering.builder import TRUTH, Expander
from d2s.runtime.lowering.marks import has_marks, with_marks_returned


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


def check_all(into: Expander, hold: Value, reason: str) -> None:
    """Put a check of a tensor of bools, all of which have to be true."""
    assert isinstance(hold.type, TensorType)
    check(into, into.call(torch.all, hold, to=TRUTH) if hold.type.shape else hold, reason)


def has_checks(program: Program) -> bool:
    """Whether there are checks in a program."""
    return has_marks(program.body, must)


def with_checks_returned(program: Program) -> Program:
    """The program with a last value more in the tuple that it returns: whether all of its checks hold."""
    return with_marks_returned(program, must, True, torch.logical_and)

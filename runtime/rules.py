"""Calls of torch that fake tensors can't answer, and how they are recorded instead."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.recorder import RULES, Recorder


def _truth(recorder: Recorder, tensor: torch.Tensor) -> bool:
    """`bool(tensor)` where Python itself asks: the recording forks."""
    return recorder.decide(tensor)


def _predicate(function: Any) -> Any:
    """A function of tensors that gives a bool."""

    def rule(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        return recorder.number_call(function, args, bool, kwargs=kwargs)

    return rule


def _refusal(what: str, remedy: str) -> Any:
    def rule(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        raise CaptureError(f"{what} of a tensor is asked for, and not known before the run", remedy)

    return rule


RULES[torch.Tensor.__bool__] = _truth
for _predicate_of_tensors in (torch.equal, torch.Tensor.equal, torch.allclose, torch.Tensor.allclose):
    RULES[_predicate_of_tensors] = _predicate(_predicate_of_tensors)
for _is_nonzero in (torch.is_nonzero, torch.Tensor.is_nonzero):
    RULES[_is_nonzero] = _predicate(_is_nonzero)
RULES[torch.Tensor.__int__] = _refusal("the integer value", "call int() in a function that d2s converts")
RULES[torch.Tensor.__index__] = _refusal("the integer value", "call int() in a function that d2s converts")
RULES[torch.Tensor.__float__] = _refusal("the float value", "call float() in a function that d2s converts")

"""The operators for torch's own forms of control flow: `torch.cond`, `while_loop` and `map`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.calls import call
from d2s.runtime.operators.comprehensions import listed
from d2s.runtime.operators.decisions import if_expression
from d2s.runtime.operators.loops import while_
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.torch_internals.graphs import HIGHER_ORDER


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Any = ()) -> Any:
    """`torch.cond(pred, true_fn, false_fn, operands)`."""
    if active_recorder() is None:
        return torch.cond(pred, true_fn, false_fn, operands)
    return if_expression(pred, lambda: call(true_fn)(*operands), lambda: call(false_fn)(*operands))


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Any) -> Any:
    """`while_loop(cond_fn, body_fn, carried_inputs)`."""
    if active_recorder() is None:
        return HIGHER_ORDER["while_loop"](cond_fn, body_fn, carried_inputs)
    carried = tuple(carried_inputs)

    def test() -> Any:
        return call(cond_fn)(*carried)

    def body() -> None:
        nonlocal carried
        carried = tuple(call(body_fn)(*carried))

    while_(test, body, ("carried",))
    return carried


def map_(function: Callable[..., Any], xs: Any, *args: Any) -> Any:
    """`map(function, xs, *args)`, over the rows of one tensor, for a function that gives one tensor."""
    if active_recorder() is None or not isinstance(xs, torch.Tensor):
        return HIGHER_ORDER["map"](function, xs, *args)
    return torch.stack(listed(xs, lambda row: call(function)(row, *args)))


REPLACEMENTS.update({torch.cond: cond, HIGHER_ORDER["while_loop"]: while_loop, HIGHER_ORDER["map"]: map_})

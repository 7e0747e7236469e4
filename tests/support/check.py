"""Compares a static function with eager on several inputs of one signature."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from compare import detached, failed_runs, gradients, is_error, outcome, same

import d2s
from d2s.runtime.ir.program import Program


def check(function: Any, *inputs: Any, ways: int = 2) -> Program:
    """Compare on all inputs, each a tuple of arguments (or one argument); the one program that ran for all.

    Answers, exceptions, arguments afterwards and gradients must be eager's. `ways`: how many different
    answers the inputs must give at least, so that a program with one branch baked in can't pass.
    """
    given = [value if isinstance(value, tuple) else (value,) for value in inputs]
    static = d2s.to_static(function, full_graph=True)
    seen: list[Any] = []
    raised = 0
    for args in given:
        want, got = observe(function, *_leaves(args)), observe(static, *_leaves(args))
        assert same(want, got), f"{got} instead of {want}, from\n{static.programs and static.programs[0]}"
        if not any(same(want, other) for other in seen):
            seen.append(want)
        raised += is_error(want[0])
    assert failed_runs(static) <= raised, "a run has failed, and eager gave the answer"
    assert len(seen) >= ways, "the inputs take too few ways"
    (executable,) = static.programs
    return executable.program


def bind(function: Any, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    """The arguments of a call by the names of the parameters."""
    bound = inspect.signature(function).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound


def _leaves(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Copies of the arguments whose float tensors ask for gradients."""

    def leaf(value: Any) -> Any:
        if isinstance(value, torch.Tensor) and value.is_floating_point():
            return value.detach().clone().requires_grad_(True)
        return copy.deepcopy(value)

    return tuple(leaf(value) for value in args)


def observe(function: Callable[..., Any], *args: Any) -> Any:
    """What a call returns or raises, what it leaves in its arguments, and the gradients of its answer."""
    torch.manual_seed(0)
    answer = outcome(function, *args)
    found = gradients(answer, args)
    return detached(answer), detached(list(args)), found

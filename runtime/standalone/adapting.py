"""Lets a program run where gradients are asked for otherwise than where it was captured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.backend.execution import Executable
from d2s.runtime.ir.program import Program
from d2s.runtime.ir.sources import LOST, read
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.guards import Guard, IsTensor


def adapted(executable: Executable, arguments: Sequence[Any]) -> Executable | None:
    """The program with guards for what these arguments are; None if it is not for them.

    Whether a tensor asks for gradients is no matter to a program that does not ask that: it is the same torch calls.
    """
    capture = _in_this_mode(executable.capture)
    if capture.asks_of_gradients:
        return None
    named = dict(zip(executable.parameters, arguments, strict=True))
    try:
        guards = [_adapted(guard, read(guard.source, named)) for guard in capture.guards]
    except LOST:
        return None
    other = Executable(replace(capture, guards=guards), executable.signature, arguments, executable.compiled)
    return other if other.inputs_for(*arguments) is not None else None


def _in_this_mode(capture: Capture) -> Capture:
    program = capture.program
    if not capture.any_grad_mode or program.modes.grad is torch.is_grad_enabled():
        return capture
    modes = replace(program.modes, grad=torch.is_grad_enabled())
    return replace(capture, program=Program(program.name, program.inputs, program.body, modes))


def _adapted(guard: Guard, thing: Any) -> Guard:
    check = guard.check
    if not isinstance(check, IsTensor) or not isinstance(thing, torch.Tensor):
        return guard
    kind = replace(check.type, requires_grad=thing.requires_grad)
    return replace(guard, check=replace(check, type=kind, leaf=thing.is_leaf))

"""Lets a program run for tensors unlike those that it was captured for, where that is no matter to it.

Which torch calls a program makes does not depend on whether tensors ask for gradients, on their dtype or device,
unless the function asked for that; so the same calls are what eager would do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.backend.execution import Executable
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.sources import LOST, read
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Guard, IsTensor


def adapted(executable: Executable, arguments: Sequence[Any]) -> Executable | None:
    """The program with guards for what these arguments are; None if it is not for them."""
    named = dict(zip(executable.parameters, arguments, strict=True))
    adapting = _Adapting(executable.capture)
    capture = _in_this_mode(executable.capture)
    try:
        guards = [adapting.guard(guard, read(guard.source, named)) for guard in capture.guards]
    except LOST:
        return None
    if not adapting.possible:
        return None
    moved = {old: new for old, new in adapting.devices.items() if old != new}
    program = _Moving(moved).program(capture.program) if moved else capture.program
    compiled = None if moved else executable.compiled
    other = Executable(replace(capture, program=program, guards=guards), executable.signature, arguments, compiled)
    return other if other.inputs_for(*arguments) is not None else None


def _in_this_mode(capture: Capture) -> Capture:
    program = capture.program
    if not capture.any_grad_mode or program.modes.grad is torch.is_grad_enabled():
        return capture
    modes = replace(program.modes, grad=torch.is_grad_enabled())
    return replace(capture, program=replace(program, modes=modes))


class _Adapting:
    """Guards that let in the tensors that are there; `possible` becomes False if the program may be none for them.

    What was on one device has to be on one device now.
    """

    def __init__(self, capture: Capture):
        self.possible = True
        self.devices: dict[torch.device, torch.device] = {}
        self._asks_of = capture.asks_of

    def guard(self, guard: Guard, thing: Any) -> Guard:
        """The guard of a tensor as it is now; any other as it is."""
        check = guard.check
        if not isinstance(check, IsTensor) or not isinstance(thing, torch.Tensor):
            return guard
        kind = check.type
        self._note("gradients", kind.requires_grad == thing.requires_grad and check.leaf == thing.is_leaf)
        self._note("dtypes", kind.dtype == thing.dtype)
        self._note("devices", kind.device == thing.device)
        self.possible &= self.devices.setdefault(kind.device, thing.device) == thing.device
        # Numbers of the run are floats, whatever float a tensor holds, but no ints.
        self.possible &= kind.dtype == thing.dtype or (kind.dtype.is_floating_point and thing.is_floating_point())
        kind = replace(kind, dtype=thing.dtype, device=thing.device, requires_grad=thing.requires_grad)
        return replace(guard, check=replace(check, type=kind, leaf=thing.is_leaf))

    def _note(self, question: str, same: bool) -> None:
        self.possible &= same or question not in self._asks_of


class _Moving(Rewriter):
    """A program that makes its tensors on other devices."""

    def __init__(self, devices: dict[torch.device, torch.device]):
        self._devices = devices

    def constant(self, constant: Any) -> Any:
        return self._devices.get(constant, constant) if isinstance(constant, torch.device) else constant

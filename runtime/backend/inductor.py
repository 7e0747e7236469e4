"""The "inductor" backend: runs a program as graphs that Inductor compiles, else as the "torch" backend does."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.backend.compiling import Run, Way
from d2s.runtime.backend.training import TrainingWay
from d2s.runtime.ir.program import Program
from d2s.runtime.lowering.pipeline import Answer


class InductorRun:
    """A program to be run on inputs; `flat` is how the "torch" backend runs it."""

    def __init__(self, program: Program, flat: Run):
        self.inference = Way(program, flat)
        self.training = TrainingWay(program, flat)

    @property
    def reason(self) -> str | None:
        """Why the program runs flat all the same; None if it does not, or not yet."""
        reasons = {way.reason for way in (self.inference, self.training) if way.reason is not None}
        return "; ".join(sorted(reasons)) or None

    def __call__(self, *inputs: Any) -> Answer:
        needed = torch.is_grad_enabled() and any(
            isinstance(one, torch.Tensor) and one.requires_grad for one in inputs
        )
        return (self.training if needed else self.inference)(inputs)

"""The "inductor" backend: runs a program as graphs that Inductor compiles, else as the "torch" backend does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from d2s.runtime.backend.compiling import Run, Way
from d2s.runtime.backend.stretches import in_stretches
from d2s.runtime.backend.training import TrainingWay
from d2s.runtime.ir.program import Call, Program
from d2s.runtime.lowering.pipeline import Answer
from d2s.runtime.lowering.training import wants_gradients
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.torch_internals.modes import is_watched


class InductorRun:
    """A program to be run on inputs; `flat` is how the "torch" backend runs it, `compiled` makes that of a program.

    What can't be lowered as a whole runs flat, and what can be of it by runs of their own. So do the straight parts
    of what is compiled as a whole and is no faster.
    """

    def __init__(self, program: Program, flat: Run, compiled: Callable[[Program], Run], is_part: bool = False):
        self.parts: list[InductorRun] = []
        self._program = program
        self._compiled = compiled
        self._flat = flat
        self._split: dict[bool, tuple[Run, list[InductorRun]]] = {}
        self.inference = Way(program, flat, partial(self._in_stretches, "inference"), is_part)
        self.training = TrainingWay(program, flat, partial(self._in_stretches, "training"), is_part)

    def _in_stretches(self, way: str, straight: bool) -> Run:
        """The program as it runs flat, with its parts compiled, or the straight ones of them alone.

        When all that ever ran have been given up they cost no more: it runs flat as a whole.
        """
        if straight and all(isinstance(op, Call) for op in self._program.body.ops):
            return self._flat
        if straight not in self._split:
            known = len(self.parts)
            run = self._compiled(in_stretches(optimised(self._program), self._part, straight))
            self._split[straight] = run, self.parts[known:]
        split, parts = self._split[straight]
        ways: list[Way] = [getattr(part, way) for part in parts]
        if not ways:
            return self._flat
        return lambda *inputs: (self._flat if _is_in_vain(ways) else split)(*inputs)

    def _part(self, program: Program) -> Callable[..., Any]:
        part = InductorRun(program, self._compiled(optimised(program)), self._compiled, is_part=True)
        self.parts.append(part)
        return lambda *inputs: part(*inputs)[0]

    @property
    def reason(self) -> str | None:
        """Why the program runs flat all the same; None if it does not, or not yet."""
        reasons = sorted({way.reason for way in (self.inference, self.training) if way.reason is not None})
        if self.parts:
            compiled = sum(part.inference.has_graphs or part.training.has_graphs for part in self.parts)
            reasons.append(f"of its parts, {compiled} are compiled" if compiled != 1 else "a part of it is compiled")
        return "; ".join(reasons) or None

    def __call__(self, *inputs: Any) -> Answer:
        if is_watched():
            # A graph is one step, of which nobody sees the ops.
            return self._flat(*inputs)
        return (self.training if wants_gradients(inputs) else self.inference)(inputs)


def _is_in_vain(ways: Sequence[Way]) -> bool:
    """Whether parts of a program have been given up, and the others never ran."""
    return any(one.is_given_up for one in ways) and all(one.is_given_up or one.is_new for one in ways)

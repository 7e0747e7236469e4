"""The "inductor" backend: runs a program as one graph that Inductor compiles, else as the "torch" backend does.

Which of the two is faster is measured on the first calls: both run on the same inputs, and the answer is that of the
"torch" backend. A compiled graph changes nothing until it has come to its end, so the program can always run instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from d2s.runtime.ir.program import Program
from d2s.runtime.lowering.graph import graph_of
from d2s.runtime.lowering.pipeline import Answer, Lowered, lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.passes.splitting import with_split_cells
from d2s.runtime.torch_internals import compiled_graph, storage_key

Run = Callable[..., Answer]

_TRIALS = 5
_log = logging.getLogger("d2s")


class InductorRun:
    """A program to be run on inputs; `run` is how the "torch" backend runs it.

    `reason` says why that is how it always runs; None if a compiled graph does.
    """

    def __init__(self, program: Program, run: Run):
        self.reason: str | None = None
        self._program = program
        self._run = run
        self._lowered: Lowered | None = None
        self._graph: Callable[..., Any] | None = None
        self._trials = 0
        self._seconds = [0.0, 0.0]

    def __call__(self, *inputs: Any) -> Answer:
        if self.reason is not None or _needs_gradients(inputs):
            return self._run(*inputs)
        if self._graph is None:
            self._compile(inputs)
            return self._run(*inputs)
        if self._trials < _TRIALS:
            return self._try_both(inputs)
        try:
            return self._answer(inputs)
        except Exception as error:
            # What raised here changed nothing: an index out of range, a check, or an exception of the program's own.
            _log.debug("a compiled program goes on as itself: %s", error)
            return self._run(*inputs)

    def _answer(self, inputs: Sequence[Any]) -> Answer:
        assert self._lowered is not None and self._graph is not None
        tensors = self._lowered.tensors(inputs)
        with torch.no_grad():
            return self._lowered.answer(self._graph(*tensors), tensors)

    def _compile(self, inputs: Sequence[Any]) -> None:
        """Lower and compile for inputs like these."""
        try:
            self._lowered = lowered(optimised(with_split_cells(self._program)))
            tensors = self._lowered.tensors(inputs)
            _check_memory(tensors, self._lowered.written)
            with torch.no_grad():
                self._graph = compiled_graph(graph_of(self._lowered.program, tensors), tensors)
        except LoweringError as error:
            self._give_up(str(error))

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self._lowered = self._graph = None

    def _try_both(self, inputs: Sequence[Any]) -> Answer:
        """Run the graph, then the program, which gives the answer; in the end keep the faster."""
        assert self._lowered is not None and self._graph is not None
        tensors = self._lowered.tensors(inputs)
        draws = torch.get_rng_state()
        try:
            with _Stopwatch() as compiled, torch.no_grad():
                self._graph(*tensors)
        except Exception as error:
            _log.debug("a compiled program goes on as itself: %s", error)
            return self._run(*inputs)
        torch.set_rng_state(draws)
        with _Stopwatch() as flat:
            answer = self._run(*inputs)
        if self._trials:  # the first run of a graph is not like the others
            self._seconds[0] += compiled.seconds
            self._seconds[1] += flat.seconds
        self._trials += 1
        if self._trials == _TRIALS and self._seconds[0] > self._seconds[1]:
            self._give_up("compiled it is no faster")
        return answer


class _Stopwatch:
    seconds = 0.0

    def __enter__(self) -> _Stopwatch:
        self._start = time.perf_counter()
        return self

    def __exit__(self, *exception: object) -> None:
        self.seconds = time.perf_counter() - self._start


def _needs_gradients(inputs: Sequence[Any]) -> bool:
    return torch.is_grad_enabled() and any(isinstance(one, torch.Tensor) and one.requires_grad for one in inputs)


def _check_memory(inputs: Sequence[torch.Tensor], written: Sequence[int]) -> None:
    """What is written may not be in the memory of another input: the graph would not see it there."""
    memory = [storage_key(one) for one in inputs]
    if any(memory.count(memory[place]) > 1 for place in written):
        raise LoweringError("a write to an argument that shares memory with another can't be lowered")

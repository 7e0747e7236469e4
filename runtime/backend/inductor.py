"""The "inductor" backend: runs a program as one graph that Inductor compiles, else as the "torch" backend does.

Which of the two is faster is measured on the first calls: both run on the same inputs, and the answer is that of the
"torch" backend. A compiled graph changes nothing until it has come to its end, so the program can always run instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.ir.program import Call, Program, walk_ops
from d2s.runtime.lowering.graph import graph_of
from d2s.runtime.lowering.pipeline import Answer, Lowered, lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.passes.splitting import with_split_cells
from d2s.runtime.torch_internals import TracedGraph, compiled_graph, storage_key

Run = Callable[..., Answer]

_TRIALS = 5
_MOST_GRAPHS = 8
_log = logging.getLogger("d2s")


@dataclass(frozen=True)
class _Graph:
    """A compiled graph, and whether it is right for other inputs, whose sizes may differ."""

    fits: Callable[[Sequence[torch.Tensor]], bool]
    run: Callable[..., Sequence[torch.Tensor]]


class InductorRun:
    """A program to be run on inputs; `run` is how the "torch" backend runs it.

    `reason` says why that is how it always runs; None if compiled graphs do.
    """

    def __init__(self, program: Program, run: Run):
        self.reason: str | None = None
        self._program = program
        self._run = run
        self._is_random = any(isinstance(op, Call) and op.effects.random for op in walk_ops(program.body))
        self._lowered: Lowered | None = None
        self._graphs: list[_Graph] = []
        self._trials = 0
        self._seconds = [0.0, 0.0]

    def __call__(self, *inputs: Any) -> Answer:
        if self.reason is not None or _needs_gradients(inputs):
            return self._run(*inputs)
        draws = torch.get_rng_state() if self._is_random else None
        answer, seconds = self._run_graph(inputs)
        if answer is not None:
            return answer
        if draws is not None:
            torch.set_rng_state(draws)
        with _Stopwatch() as flat:
            answer = self._run(*inputs)
        if seconds:
            self._compare(seconds, flat.seconds)
        return answer

    def _run_graph(self, inputs: Sequence[Any]) -> tuple[Answer | None, float]:
        """The answer of the graph, None if it has none, and how many seconds it took when that is to be known."""
        try:
            code = self._lower()
            tensors = code.tensors(inputs)
            graph = self._graph_for(code, tensors)
            with _Stopwatch() as watch, torch.no_grad():
                values = graph.run(*tensors)
                if self._trials >= _TRIALS:
                    return code.answer(values, tensors), 0.0
            return None, watch.seconds
        except LoweringError as error:
            self._give_up(str(error))
        except Exception as error:
            # What raised here changed nothing: an index out of range, a check, or an exception of the program's own.
            _log.debug("a compiled program goes on as itself: %s", error)
        return None, 0.0

    def _lower(self) -> Lowered:
        self._lowered = self._lowered or lowered(optimised(with_split_cells(self._program)))
        return self._lowered

    def _graph_for(self, code: Lowered, tensors: Sequence[torch.Tensor]) -> _Graph:
        """The graph for inputs like these, compiled if need be."""
        for graph in self._graphs:
            if graph.fits(tensors):
                return graph
        if len(self._graphs) == _MOST_GRAPHS:
            raise LoweringError(f"for {_MOST_GRAPHS} kinds of sizes there are graphs, and there is always another")
        _check_memory(tensors, code.written)
        with torch.no_grad():
            traced = graph_of(code.program, tensors)
            run = _compiled(traced, tensors)
        self._graphs.append(_Graph(traced.fits(), run))
        return self._graphs[-1]

    def _compare(self, compiled: float, flat: float) -> None:
        """Take over how many seconds the two took; in the end keep the faster."""
        if self._trials:  # the first run of a graph is not like the others
            self._seconds[0] += compiled
            self._seconds[1] += flat
        self._trials += 1
        if self._trials == _TRIALS and self._seconds[0] > self._seconds[1]:
            self._give_up("compiled it is no faster")

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self._lowered = None
        self._graphs = []


def _compiled(graph: TracedGraph, inputs: Sequence[torch.Tensor]) -> Callable[..., Any]:
    try:
        return compiled_graph(graph, inputs)
    except Exception as error:
        # Inductor is large: whatever it stumbles over, the program still runs.
        _log.debug("Inductor failed", exc_info=error)
        raise LoweringError(f"Inductor can't compile it: {type(error).__name__}: {error}".splitlines()[0]) from error


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

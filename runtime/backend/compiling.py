"""Compiles programs by Inductor, and runs them so, unless they can't be compiled or are no faster.

On the first calls both run, on the same inputs: they must agree, and the faster is kept. A compiled graph changes
nothing until it has come to its end, so the program can always run instead.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.backend.cache import cached_graph
from d2s.runtime.ir.program import Call, Program, leaves_of, walk_ops
from d2s.runtime.lowering.graph import graph_of
from d2s.runtime.lowering.pipeline import Answer, Lowered, lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.passes.splitting import with_split_cells, with_split_maps
from d2s.runtime.torch_internals.effects import storage_key
from d2s.runtime.torch_internals.graphs import TracedGraph, sizes_fit

Run = Callable[..., Answer]

_TRIALS = 6
# How long a graph may take, as a ratio to the program itself; one of a part costs a call more, which no trial sees.
_WORTH, _PART_WORTH = 1, 0.8
# How far compiled answers may be off: loops add up the rounding of other orders of sums.
_ROUNDING = 1e-3
_MOST_GRAPHS = 8
_log = logging.getLogger("d2s")


@dataclass(frozen=True)
class Graph:
    """A compiled graph, and whether it is right for other inputs, whose sizes may differ."""

    fits: Callable[[Sequence[torch.Tensor]], bool]
    run: Callable[..., Sequence[torch.Tensor]]


def compiled_program(program: Program, tensors: Sequence[torch.Tensor]) -> Graph:
    """A legalised program, compiled for inputs like these.

    Raises:
        LoweringError: it can't be.
    """
    return compiled_trace(graph_of(program, tensors))


def compiled_trace(traced: TracedGraph) -> Graph:
    """A traced graph, compiled.

    Raises:
        LoweringError: Inductor can't.
    """
    try:
        guards, run = cached_graph(traced)
    except Exception as error:
        # Inductor is large: whatever it stumbles over, the program still runs.
        _log.debug("Inductor failed", exc_info=error)
        raise LoweringError(f"Inductor can't compile it: {type(error).__name__}: {error}".splitlines()[0]) from error
    return Graph(sizes_fit(guards), run)


def close(left: Any, right: Any) -> bool:
    """Whether two answers agree, but for the rounding of floats."""
    left, right = leaves_of(left), leaves_of(right)
    if len(left) != len(right):
        return False
    pairs = zip(left, right, strict=True)
    return all(_close_leaves(*pair) for pair in pairs if isinstance(pair[1], torch.Tensor | bool | int | float))


def _close_leaves(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    left, right = (torch.as_tensor(one).detach() for one in (left, right))
    if left.dtype != right.dtype or left.shape != right.shape:
        return False
    if not (left.is_floating_point() or left.is_complex()):
        return torch.equal(left, right)
    size = right.abs().nan_to_num(0, 0, 0).amax().item() if right.numel() else 0.0
    rounding = max(_ROUNDING, 4 * torch.finfo(left.dtype).eps)
    return torch.allclose(left, right, rtol=rounding, atol=rounding * size, equal_nan=True)


class Way:
    """One way to run a program compiled, such as without gradients; `flat` is how the "torch" backend runs it.

    `reason` says why it runs flat all the same; None if it does not, or not yet.
    """

    differentiable = False

    def __init__(self, program: Program, flat: Run, instead: Callable[[bool], Run], is_part: bool):
        """`instead` gives another way to run it flat, by parts: by straight ones alone if it was compiled in vain."""
        self.reason: str | None = None
        self.flat = flat
        self._instead = instead
        self._is_part = is_part
        self._program = program
        self.is_random = any(isinstance(op, Call) and op.effects.random for op in walk_ops(program.body))
        self._lowered: Lowered | None = None
        self._graphs: list[Graph] = []
        self._trials = 0
        self._ratios: list[float] = []
        self._has_parts = False

    def __call__(self, inputs: Sequence[Any]) -> Answer:
        """What the program gives for inputs."""
        if self.reason is not None:
            return self.flat(*inputs)
        draws = torch.get_rng_state() if self.is_random else None
        answer = self._try(inputs)
        if answer is not None:
            return answer
        if draws is not None:
            torch.set_rng_state(draws)
        return self.flat(*inputs)

    def _try(self, inputs: Sequence[Any]) -> Answer | None:
        """The answer of a graph; None if it has none, or if its time was taken only."""
        code = self._code()
        if code is None:
            return None
        try:
            tensors = code.tensors(inputs)
            graph = self._graph_for(code, tensors)
            if self._trials >= _TRIALS:
                return self.answer(code, graph, tensors)
            self._trial(*self.both(code, graph, inputs))
        except LoweringError as error:
            sizes_differ = len(self._graphs) == _MOST_GRAPHS
            self._give_up(str(error))
            if not sizes_differ:
                self._go_by_parts(straight=True)
        except Exception as error:
            # What raised here changed nothing: an index out of range, a check, or an exception of the program's own.
            _log.debug("a compiled program goes on as itself: %s", error)
        return None

    def _code(self) -> Lowered | None:
        """The program as functional tensor code; None if it can't be, which is then given up."""
        if self._lowered is None:
            try:
                self._lowered = self.lowered(self._program)
            except LoweringError as error:
                self._give_up(str(error))
                self._go_by_parts(straight=False)
            except Exception as error:
                # A pass met what it did not expect: the program still runs.
                _log.debug("lowering failed", exc_info=error)
                self._give_up(f"lowering it failed: {type(error).__name__}: {error}")
        return self._lowered

    def _graph_for(self, code: Lowered, tensors: Sequence[torch.Tensor]) -> Graph:
        """The graph for inputs like these, compiled if need be."""
        for graph in self._graphs:
            if graph.fits(tensors):
                return graph
        if len(self._graphs) == _MOST_GRAPHS:
            raise LoweringError(f"for {_MOST_GRAPHS} kinds of sizes there are graphs, and there is always another")
        _check_memory(tensors, code.written)
        self._graphs.append(self.compiled(code, tensors))
        return self._graphs[-1]

    def _trial(self, compiled: Callable[[], Any], flat: Callable[[], Any]) -> None:
        """Run both, in turns, which must agree; in the end keep the faster."""
        draws = torch.get_rng_state()
        runs = (compiled, flat) if self._trials % 2 else (flat, compiled)
        times, answers = {}, []
        for run in runs:
            torch.set_rng_state(draws)
            start = time.perf_counter()
            answers.append(run())
            times[run] = time.perf_counter() - start
        torch.set_rng_state(draws)
        if not close(*answers):
            raise LoweringError("compiled it gives another answer")
        self._trials += 1
        self._ratios.append(times[compiled] / times[flat])
        worth = _PART_WORTH if self._is_part else _WORTH
        # The first run of a graph is not like the others.
        if self._trials == _TRIALS and statistics.median(self._ratios[1:]) > worth:
            raise LoweringError("compiled it is no faster")

    @property
    def is_given_up(self) -> bool:
        """Whether the program runs flat and by no parts."""
        return self.reason is not None and not self._has_parts

    @property
    def has_graphs(self) -> bool:
        """Whether there is a graph for some inputs, on trial or for good."""
        return bool(self._graphs)

    @property
    def is_new(self) -> bool:
        """Whether it never ran."""
        return self.reason is None and not self._graphs

    def _go_by_parts(self, straight: bool) -> None:
        flat, self.flat = self.flat, self._instead(straight)
        self._has_parts = self.flat is not flat

    def _give_up(self, reason: str) -> None:
        self.reason = reason
        self._lowered = None
        self._graphs = []

    # -------------------------------------------------------------- how it runs

    def lowered(self, program: Program) -> Lowered:
        """A program as functional tensor code.

        Raises:
            LoweringError: it can't be.
        """
        return lowered(optimised(with_split_maps(with_split_cells(program))), differentiable=self.differentiable)

    def compiled(self, code: Lowered, tensors: Sequence[torch.Tensor]) -> Graph:
        """A graph for inputs like these."""
        return compiled_program(code.program, tensors)

    def answer(self, code: Lowered, graph: Graph, tensors: Sequence[torch.Tensor]) -> Answer:
        """What a graph gives."""
        with torch.no_grad():
            return code.answer(graph.run(*tensors), tensors)

    def both(self, code: Lowered, graph: Graph, inputs: Sequence[Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """What runs a graph and what runs the flat program, on copies of what they write; each gives all it does."""

        def on_copies(run: Callable[..., Answer]) -> Callable[[], Any]:
            copies = [one.clone() if place in code.written else one for place, one in enumerate(inputs)]
            return lambda: (run(copies)[::2], [copies[place] for place in code.written])

        compiled = on_copies(lambda copies: self.answer(code, graph, code.tensors(copies)))
        return compiled, on_copies(lambda copies: self.flat(*copies))


def _check_memory(inputs: Sequence[torch.Tensor], written: Sequence[int]) -> None:
    """What is written may not be in the memory of another input: the graph would not see it there."""
    memory = [storage_key(one) for one in inputs]
    if any(memory.count(memory[place]) > 1 for place in written):
        raise LoweringError("a write to an argument that shares memory with another can't be lowered")

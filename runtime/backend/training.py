"""The "inductor" backend with gradients: one graph forward, one backward, and a function of autograd around them."""

from __future__ import annotations

import functools
import logging
import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.backend.compiling import Graph, Way, compiled_program, compiled_trace
from d2s.runtime.backend.histories import sources_of_gradients
from d2s.runtime.ir.program import Program, Return, leaves_of
from d2s.runtime.lowering.dependence import BITS, Word, may_have_gradients, with_dependence_returned
from d2s.runtime.lowering.pipeline import Answer, Lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.lowering.training import backward_graph_of, gradients_of, spread
from d2s.runtime.lowering.trips import with_trips_returned
from d2s.runtime.passes.verify import verify

_log = logging.getLogger("d2s")


@dataclass
class Pair:
    """The two graphs of a program for inputs like some, of which the `wanted` ones require grad.

    The forward one returns, after what `program` returns, what tells on which of those the values at `outputs` depend
    (their `words`), and last the most trips of a loop. `reason` says why there is no backward one, if that failed.
    """

    program: Program
    wanted: list[int]
    outputs: list[int]
    words: list[list[Word]]
    forward: Graph
    backward: list[Graph] = field(default_factory=list)
    reason: str | None = None

    def fits(self, tensors: Sequence[torch.Tensor]) -> bool:
        """Whether the graphs are right for other inputs."""
        same = self.wanted == [place for place, one in enumerate(tensors) if one.requires_grad]
        return same and self.forward.fits(tensors)

    def gradients(
        self, inputs: Sequence[torch.Tensor], values: Sequence[torch.Tensor], given: Sequence[torch.Tensor | None]
    ) -> list[torch.Tensor | None]:
        """The gradients of the wanted inputs, None for those that nothing depends on; `values` are all returned."""
        filled = [
            torch.zeros_like(values[place]) if one is None else one.contiguous()
            for place, one in zip(self.outputs, given, strict=True)
        ]
        room = torch.empty(max(2, int(values[-1])))
        operands = [*inputs, *filled, room]
        found = self._backward(inputs, values, operands).run(*operands)
        used = _union(mask for mask, one in zip(self.masks(values), given, strict=True) if one is not None)
        return [one if used >> number & 1 else None for number, one in enumerate(found)]

    def masks(self, values: Sequence[torch.Tensor]) -> list[int]:
        """On which of the wanted inputs each of the outputs depends, as bits."""
        return [_mask(words, values) for words in self.words]

    def sources(
        self, tensors: Sequence[torch.Tensor], masks: Sequence[int], written: Sequence[int]
    ) -> list[torch.Tensor]:
        """What gradients are computed from: the inputs, and copies of those that are written when all is computed.

        Those that no output depends on come without their history: autograd would go through it.
        """
        used = _union(masks)
        unused = {place for number, place in enumerate(self.wanted) if not used >> number & 1}
        found = [one.detach() if place in unused else one for place, one in enumerate(tensors)]
        return [one.clone() if place in written else one for place, one in enumerate(found)]

    def _backward(
        self, inputs: Sequence[torch.Tensor], values: Sequence[torch.Tensor], operands: Sequence[torch.Tensor]
    ) -> Graph:
        for graph in self.backward:
            if graph.fits(operands):
                return graph
        try:
            traced = backward_graph_of(self.program, inputs, values, self.wanted, self.outputs)
            self.backward.append(compiled_trace(traced))
        except Exception as error:
            # torch's derivatives may ask what only the run knows, such as whether a size is zero.
            self.reason = f"its derivative can't be compiled: {type(error).__name__}: {error}".splitlines()[0]
            raise LoweringError(self.reason) from error
        return self.backward[-1]


def _union(masks: Iterable[int]) -> int:
    return functools.reduce(operator.or_, masks, 0)


def _mask(words: Sequence[Word], values: Sequence[torch.Tensor]) -> int:
    """On which of the wanted inputs a value depends, as bits."""
    found = 0
    for number, (known, place) in enumerate(words):
        found |= (known if place is None else int(values[place])) << number * BITS
    return found


class _Differentiable(torch.autograd.Function):
    """Gives the differentiable ones of the `values` that a pair of graphs returned for tensors."""

    @staticmethod
    def forward(ctx: Any, pair: Pair, values: Sequence[torch.Tensor], *tensors: torch.Tensor) -> Any:
        # Not by save_for_backward: what it saves is gone after a backward, and eager may not have needed it.
        ctx.pair, ctx.values, ctx.tensors = pair, values, tensors
        ctx.versions = [one._version for one in tensors]
        ctx.set_materialize_grads(False)
        return tuple(values[place].detach() for place in pair.outputs)  # they become parts of the history themselves

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor | None) -> Any:
        pair, tensors = ctx.pair, ctx.tensors
        if ctx.versions != [one._version for one in tensors]:
            raise RuntimeError("a tensor that a gradient is computed from was modified by an inplace operation")
        return None, None, *spread(pair.wanted, _gradients(pair, tensors, ctx.values, given), len(tensors))


def _gradients(
    pair: Pair,
    tensors: Sequence[torch.Tensor],
    values: Sequence[torch.Tensor],
    given: Sequence[torch.Tensor | None],
) -> Sequence[torch.Tensor | None]:
    """Those of the backward graph; those of the flat program if that failed, or gradients of them are wanted."""
    differentiable = torch.is_grad_enabled()
    if not differentiable:
        try:
            return pair.gradients(tensors, values, given)
        except LoweringError as error:
            _log.debug("gradients of the flat program", exc_info=error)
    with torch.enable_grad():
        again = compile_program(pair.program).run(*tensors)[0]
    places = [place for place in pair.wanted if tensors[place].requires_grad]
    outputs = [again[place] for place in pair.outputs]
    found = gradients_of(outputs, given, [tensors[place] for place in places], create_graph=differentiable)
    known = dict(zip(places, found, strict=True))
    return [known.get(place) for place in pair.wanted]


class TrainingWay(Way):
    """Runs a program by a pair of graphs, for calls in which an input requires grad."""

    differentiable = True

    def lowered(self, program: Program) -> Lowered:
        """A program as functional tensor code; nobody looks at a part's results, but at a whole program's."""
        if not self._is_part and sources_of_gradients(program):
            raise LoweringError("a result that another is computed from can't be lowered where gradients are wanted")
        return super().lowered(program)

    def compiled(self, code: Lowered, tensors: Sequence[torch.Tensor]) -> Any:
        """A pair of graphs for inputs like these."""
        if self.is_random:
            raise LoweringError(
                "random draws can't be lowered where gradients are wanted: they would differ backward"
            )
        wanted = [place for place, one in enumerate(tensors) if one.requires_grad]
        returned = self._returned(code.program)
        floats = [place for place, one in enumerate(returned) if may_have_gradients(one)]
        program, words = with_dependence_returned(code.program, wanted, floats)
        outputs = [(place, found) for place, found in zip(floats, words, strict=True) if any(map(_may_be_set, found))]
        first = len(returned) - code.is_checked - len(code.written)
        if any(place >= first for place, _ in outputs) or any(place in wanted for place in code.written):
            raise LoweringError("a write with gradients to an argument can't be lowered")
        outputs = [(place, found) for place, found in outputs if not code.is_view(place)]
        forward = compiled_program(verify(with_trips_returned(verify(program))), [one.detach() for one in tensors])
        return Pair(code.program, wanted, [place for place, _ in outputs], [found for _, found in outputs], forward)

    def _returned(self, program: Program) -> Sequence[Any]:
        assert isinstance(program.body.terminator, Return)
        return program.body.terminator.value

    def answer(self, code: Lowered, graph: Any, tensors: Sequence[torch.Tensor]) -> Answer:
        """What the pair gives, with its history."""
        if graph.reason is not None:
            raise LoweringError(graph.reason)
        values = self._forward(graph, tensors)
        own = list(values[: len(self._returned(code.program))])
        masks = graph.masks(values)
        sources = graph.sources(tensors, masks, code.written)
        made = dict(zip(graph.outputs, _Differentiable.apply(graph, values, *sources), strict=True))
        for place, mask in zip(graph.outputs, masks, strict=True):
            if mask:
                own[place] = made[place]
        return code.answer(own, tensors)

    def _forward(self, pair: Pair, tensors: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
        with torch.no_grad():
            return pair.forward.run(*tensors)

    def both(self, code: Lowered, graph: Any, inputs: Sequence[Any]) -> tuple[Callable[[], Any], Callable[[], Any]]:
        """The same, forward and backward, on copies of all tensors."""

        def on_copies(run: Callable[..., Answer]) -> Callable[[], Any]:
            copies = [_copy(one) if isinstance(one, torch.Tensor) else one for one in inputs]
            return lambda: _with_gradients(run(copies)[::2], copies)

        compiled = on_copies(lambda copies: self.answer(code, graph, code.tensors(copies)))
        return compiled, on_copies(lambda copies: self.flat(*copies))


def _with_gradients(answer: Any, inputs: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """An answer with the gradients of its sum."""
    outputs = [one for one in leaves_of(answer) if isinstance(one, torch.Tensor) and one.requires_grad]
    sources = [one for one in inputs if isinstance(one, torch.Tensor) and one.requires_grad]
    return answer, gradients_of(outputs, [torch.ones_like(one) for one in outputs], sources)


def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _may_be_set(word: Word) -> bool:
    return bool(word[0]) or word[1] is not None

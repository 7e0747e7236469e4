"""Differentiates lowered programs: branches and loops get derivatives of our own, made of more branches and loops.

torch's own derivative of `while_loop` is wrong where a carried value starts without a gradient and gains one. Here a
loop saves what it carries in each trip; its derivative is a loop over the trips from the last to the first, each of
which is computed anew and differentiated.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from d2s.runtime.ir.program import Program, Return, Value, is_differentiable
from d2s.runtime.lowering.graph import Environment, Evaluation, Function, Tensors, apart, shapes_of
from d2s.runtime.lowering.origins import Origins
from d2s.runtime.torch_internals.graphs import TracedGraph, cond_op, traced_graph, while_loop_op
from d2s.runtime.torch_internals.modes import DispatchState


def backward_graph_of(
    program: Program,
    inputs: Sequence[torch.Tensor],
    values: Sequence[torch.Tensor],
    wanted: Sequence[int],
    outputs: Sequence[int],
) -> TracedGraph:
    """The graph of the gradients of a legalised program by the `wanted` ones of its inputs.

    It takes the inputs, the gradients of those of the `values` which it returns that are in `outputs`, contiguous,
    and a tensor with as many elements as any loop has trips, at least two.
    """

    def gradients(*given: torch.Tensor) -> Tensors:
        *operands, most = given
        run = partial(TrainingEvaluation(program, most).program, program)
        return _derivative(lambda *inputs: run(inputs), wanted, outputs, len(inputs))(*operands)

    assert isinstance(program.body.terminator, Return)
    shapes = [program.body.terminator.value[place].type.shape for place in outputs]
    examples = [values[place].contiguous() for place in outputs]
    return traced_graph(gradients, [*inputs, *examples, torch.zeros(3)], [*shapes_of(program), *shapes, (None,)])


class TrainingEvaluation(Evaluation):
    """Evaluates a program so that autograd can go through it.

    `most` is a tensor with as many elements as any loop has trips. It is among the operands of every function of a
    branch or a loop, for a graph in a graph knows only what it is given.
    """

    def __init__(self, program: Program, most: torch.Tensor):
        self.most = most
        self._origins = Origins(program)
        self._written = set(self._origins.written(program.body))

    def given(self, values: Sequence[Value], environment: Environment) -> Tensors:
        """Copies of what may be written after it was given: the derivative needs it as it was."""
        found = zip(values, super().given(values, environment), strict=True)
        return tuple(one.clone() if self._origins.root(value) in self._written else one for value, one in found)

    def branch(self, test: torch.Tensor, then: Function, orelse: Function, operands: Tensors) -> Tensors:
        if not wants_gradients(operands):
            return super().branch(test, then, orelse, operands)
        return _Branch.apply(test, self._given_most(then), self._given_most(orelse), *operands, self.most)

    def loop(self, test: Function, body: Function, carried: Tensors, operands: Tensors) -> Tensors:
        if not wants_gradients((*carried, *operands)):
            return super().loop(test, body, carried, operands)
        functions = self._given_most(test), self._given_most(body)
        return _Loop.apply(*functions, len(carried), *carried, *operands, self.most)

    def _given_most(self, function: Function) -> Function:
        """A function that takes `most` as a last operand."""

        def inside(*operands: Any) -> Any:
            outside = self.most
            *others, self.most = operands
            try:
                return function(*others)
            finally:
                self.most = outside

        return inside


def wants_gradients(values: Sequence[Any]) -> bool:
    """Whether a history of what is computed from values would be kept."""
    return torch.is_grad_enabled() and any(isinstance(one, torch.Tensor) and one.requires_grad for one in values)


def _may_have_gradients(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and is_differentiable(value.dtype)


def gradients_of(
    outputs: Sequence[torch.Tensor],
    of_outputs: Sequence[torch.Tensor | None],
    sources: Sequence[torch.Tensor],
    create_graph: bool = False,
) -> Sequence[torch.Tensor | None]:
    """The gradients of sources from those of outputs, of which any may be None or have no history."""
    pairs = zip(outputs, of_outputs, strict=True)
    known = [(value, one) for value, one in pairs if one is not None and value.requires_grad]
    if not known:
        return [None] * len(sources)
    values, given = zip(*known, strict=True)
    return torch.autograd.grad(values, sources, given, create_graph=create_graph, allow_unused=True)


def _derivative(function: Function, wanted: Sequence[int], outputs: Sequence[int], count: int) -> Function:
    """The function of `count` operands, and of the gradients of outputs, that gives those of the wanted operands."""

    state = DispatchState()

    def gradients(*given: Any) -> Tensors:
        operands, of_outputs = list(given[:count]), given[count:]
        with state.entered(), torch.enable_grad():
            for place in wanted:
                operands[place] = operands[place].detach().requires_grad_()
            made = function(*operands)
            sources = [operands[place] for place in wanted]
            found = gradients_of([made[place] for place in outputs], of_outputs, sources)
        filled = [torch.zeros_like(old) if one is None else one for old, one in zip(sources, found, strict=True)]
        return apart(filled, given)

    return gradients


class _Branch(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, test: torch.Tensor, then: Function, orelse: Function, *operands: Any) -> Tensors:
        ctx.sides = then, orelse
        ctx.operands = test, *operands
        return _marked(ctx, cond_op(test, then, orelse, operands))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensors:
        test, *operands = ctx.operands
        wanted = [place for place, needed in enumerate(ctx.needs_input_grad[3:]) if needed]
        outputs = [place for place, one in enumerate(gradients) if _may_have_gradients(one)]
        sides = [_derivative(side, wanted, outputs, len(operands)) for side in ctx.sides]
        found = cond_op(test, *sides, (*operands, *apart([gradients[place] for place in outputs], operands)))
        return (None, None, None, *spread(wanted, found, len(operands)))


def _marked(ctx: Any, values: Sequence[torch.Tensor]) -> Tensors:
    """The results of a function of autograd, of which not all can have gradients."""
    ctx.mark_non_differentiable(*(one for one in values if not _may_have_gradients(one)))
    return tuple(values)


def spread(places: Sequence[int], values: Sequence[Any], count: int) -> Tensors:
    """Values at their places among `count`, None at the others."""
    known = dict(zip(places, values, strict=True))
    return tuple(known.get(place) for place in range(count))


class _Loop(torch.autograd.Function):
    """`count` of the operands are carried; the last is a tensor with as many elements as there are trips at most."""

    @staticmethod
    def forward(ctx: Any, test: Function, body: Function, count: int, *operands: Any) -> Tensors:
        carried, others = operands[:count], operands[count:]
        saved = tuple(one.new_empty((others[-1].shape[0], *one.shape)) for one in carried)
        trips = torch.zeros((), dtype=torch.int64)

        def go_on(*given: Any) -> torch.Tensor:
            return test(*given[1 + count :])

        def trip(*given: Any) -> Tensors:
            number, saved, now = given[0], given[1 : 1 + count], given[1 + count :]
            row = number.reshape(1)
            kept = (all_.index_copy(0, row, one.unsqueeze(0)) for all_, one in zip(saved, now, strict=False))
            return (number + 1, *kept, *body(*now))

        made = while_loop_op(go_on, trip, (trips, *saved, *carried), others)
        ctx.body, ctx.count = body, count
        ctx.kept = made[0], made[1 : 1 + count], others
        return _marked(ctx, made[1 + count :])

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Tensors:
        body, count = ctx.body, ctx.count
        trips, saved, others = ctx.kept
        floats = [place for place in range(count) if _may_have_gradients(saved[place])]
        needed = [place for place, one in enumerate(ctx.needs_input_grad[3 + count :]) if one]
        sources = [*floats, *(count + place for place in needed)]
        derivative = _derivative(body, sources, floats, count + len(others))
        width = 1 + len(sources)

        def go_on(*given: Any) -> torch.Tensor:
            return given[0] >= 0

        def trip(*given: Any) -> Tensors:
            number, now = given[0], given[1 : 1 + len(floats)]
            sums, operands = given[1 + len(floats) : width], given[width:]
            row = number.reshape(1)
            carried = [one.index_select(0, row).squeeze(0) for one in operands[:count]]
            found = derivative(*carried, *operands[count:], *now)
            added = (old + new for old, new in zip(sums, found[len(floats) :], strict=True))
            return apart((number - 1, *found[: len(floats)], *added), given)

        start = [gradients[place] for place in floats]
        sums = [torch.zeros_like(others[place]) for place in needed]
        made = while_loop_op(go_on, trip, apart((trips - 1, *start, *sums), ()), (*saved, *others))
        of_carried = spread(floats, made[1 : 1 + len(floats)], count)
        return (None, None, None, *of_carried, *spread(needed, made[1 + len(floats) :], len(others)))

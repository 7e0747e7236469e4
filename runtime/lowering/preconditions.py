"""Checks of what eager refuses by the values of a tensor, and compiled code takes.

torch.Tensor.scatter_add_(t0, 0, t1, t2)    ->    t3 = torch.clamp(t1, 0, 3)
                                                  must(torch.all(torch.eq(t3, t1)), "an index out of range")
                                                  torch.Tensor.scatter_add_(t0, 0, t3, t2)

Compiled code would write at an index out of range: the index is put in range before the check is seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.ir.names import is_in_place, qualified_name
from d2s.runtime.ir.program import Call, Op, Program, TensorType, Value
from d2s.runtime.lowering.builder import Expander
from d2s.runtime.lowering.checks import check_all
from d2s.runtime.lowering.indexing import in_range, size_along

# Functions of a tensor, a dimension and an index along it.
_INDEXED = frozenset("index_select index_add index_copy scatter scatter_add scatter_reduce".split())


def with_preconditions(program: Program) -> Program:
    """The program with checks before the calls that need them.

    Raises:
        LoweringError: a function does something else when it is compiled.
    """
    return _Preconditions(program).program(program)


class _Preconditions(Expander):
    def expand(self, op: Op) -> Op | None:
        made = self.op(op)
        if not isinstance(made, Call):
            return made
        place, _, name = (qualified_name(made.target) or "").rpartition(".")
        if place in ("torch", "torch.Tensor") and name.removesuffix("_") in _INDEXED:
            return self._indexed(made)
        if made.target is F.multilabel_margin_loss:
            raise self.refusal("multilabel_margin_loss, of which torch compiles another function, can't be lowered")
        if made.target is F.one_hot:
            classes, count = _arguments(made, "tensor", "num_classes")
            self._check_between(classes, 0, None if count in (None, -1) else count - 1)
        for given in _probabilities(made):
            self._check_between(given, 0, 1)
        return made

    def _indexed(self, call: Call) -> Call:
        tensor, dimension, index = _arguments(call, "input", "dim", "index")
        inside = in_range(self, index, size_along(self, tensor, dimension))
        if "index" in call.kwargs:
            return replace(call, kwargs={**call.kwargs, "index": inside})
        return replace(call, args=(*call.args[:2], inside, *call.args[3:]))

    def _check_between(self, given: Value, least: int, most: int | None) -> None:
        assert isinstance(given.type, TensorType)
        truths = replace(given.type, dtype=torch.bool, requires_grad=False)
        check_all(self, self.call(torch.ge, given, least, to=truths), "a value out of range")
        if most is not None:
            check_all(self, self.call(torch.le, given, most, to=truths), "a value out of range")


def _probabilities(call: Call) -> list[Value]:
    """The tensors that a call takes for probabilities."""
    found: list[Any] = []
    if call.target is F.binary_cross_entropy:
        found = _arguments(call, "input", "target")
    elif call.target in (torch.bernoulli, torch.Tensor.bernoulli, torch.Tensor.bernoulli_):
        tensor, given = _arguments(call, "input", "p")
        found = [tensor if given is None and not is_in_place(call.target) else given]
    return [one for one in found if isinstance(one, Value)]


def _arguments(call: Call, *names: str) -> list[Any]:
    """The first arguments of a call, which have these names; None for those that are not given."""
    return [call.args[at] if at < len(call.args) else call.kwargs.get(name) for at, name in enumerate(names)]

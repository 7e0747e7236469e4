"""Computes both sides of small branches and chooses: a branch of a graph costs more than a few small operators.

t4 = if t1:                           ->    t2 = torch.Tensor.mul(t0, 2)
    t2 = torch.Tensor.mul(t0, 2)            t4 = torch.where(t1, t2, t0)
    yield t2
else:
    yield t0
"""

from __future__ import annotations

import math

import torch

from d2s.runtime.ir.liveness import op_uses
from d2s.runtime.ir.names import qualified_name
from d2s.runtime.ir.program import (
    Block,
    Call,
    If,
    Op,
    Program,
    TensorType,
    Tree,
    Value,
    Yield,
    is_differentiable,
    values_in,
)
from d2s.runtime.lowering.builder import Expander

# Functions that fail for no tensors of the shapes that they were captured with, and are soon done.
_CHEAP = frozenset(
    """add sub mul neg abs sign square lt le gt ge eq ne logical_and logical_or logical_not bitwise_and bitwise_or
    bitwise_xor bitwise_not where maximum minimum clamp relu exp tanh sigmoid clone full to reshape unsqueeze squeeze
    select sum mean any all max min""".split()
)
_DIVISIONS = frozenset(("div", "true_divide"))
_MOST_OPS = 32
_MOST_ELEMENTS = 4096


def with_choices(program: Program, differentiable: bool) -> Program:
    """A program without writes in branches, in which no small branch is left.

    If it has to be `differentiable`, floats stay in branches: what was not chosen can make their gradients NaN.
    """
    return _Choices(program, differentiable).program(program)


class _Choices(Expander):
    def __init__(self, program: Program, differentiable: bool):
        super().__init__(program)
        self._differentiable = differentiable

    def expand(self, op: Op) -> Op | None:
        made = self.op(op)
        if not isinstance(made, If) or not self._is_small(made):
            return made
        for side in made.blocks:
            for one in side.ops:
                self.add(one)
        for result, left, right in zip(made.results, _ends(made.then), _ends(made.orelse), strict=True):
            self.replace(result, self.call(torch.where, made.condition, left, right, to=result.type))
        return None

    def _is_small(self, op: If) -> bool:
        ops = [one for side in op.blocks for one in side.ops]
        if len(ops) > _MOST_OPS or not all(isinstance(one, Call) and _is_cheap(one) for one in ops):
            return False
        chosen = zip(op.results, _ends(op.then), _ends(op.orelse), strict=True)
        if not all(_are_alike(*one) and self._may_be_chosen(one[0]) for one in chosen):
            return False
        values = {*op.results, *(value for one in ops for value in (*one.results, *op_uses(one)))}
        return sum(map(_size, values)) <= _MOST_ELEMENTS

    def _may_be_chosen(self, result: Value) -> bool:
        assert isinstance(result.type, TensorType)
        return not (self._differentiable and is_differentiable(result.type.dtype))


def _ends(side: Block) -> list[Tree]:
    assert isinstance(side.terminator, Yield)
    return list(side.terminator.values)


def _is_cheap(call: Call) -> bool:
    place, _, name = (qualified_name(call.target) or "").partition(".")
    name = name.removeprefix("Tensor.").strip("_")
    if name == "getitem":
        return not any(values_in(call.args[1:]))
    if place != "torch" or not call.effects.pure or len(call.results) != 1:
        return False
    kind = call.results[0].type
    divides = name in _DIVISIONS and isinstance(kind, TensorType) and kind.dtype.is_floating_point
    return divides or name in _CHEAP


def _are_alike(result: Value, *sides: Tree) -> bool:
    """Whether both sides give a tensor of the dtype and the shape of the result."""
    kinds = [one.type for one in (result, *sides) if isinstance(one, Value)]
    tensors = [kind for kind in kinds if isinstance(kind, TensorType)]
    return len(tensors) == 3 and len({(kind.dtype, kind.shape, kind.device) for kind in tensors}) == 1


def _size(value: Value) -> float:
    """The number of elements; infinite if it is not known."""
    kind = value.type
    shape = kind.shape if isinstance(kind, TensorType) else (None,)
    return math.prod(math.inf if size is None else size for size in shape)

"""Makes tensors of the numbers that a program computes when it runs: counters, flags, `int(t)`, `t.item()`.

n4 = operator.add(n3, 1)              ->    t4 = torch.add(t3, torch.full((), 1, dtype=torch.int64))
t6 = torch.Tensor.mul(t5, n4)         ->    t6 = torch.Tensor.mul(t5, t4.to(torch.float32))

Sizes of tensors, and what is computed of them alone, stay numbers of Python: shapes are made of them.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import (
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Return,
    TensorType,
    Terminator,
    Tree,
    Value,
    While,
    Yield,
    map_tree,
)
from d2s.runtime.lowering.arithmetic import arithmetic
from d2s.runtime.lowering.builder import DTYPES, Expander, as_tensor, is_number, number_type
from d2s.runtime.lowering.scalars import scalar_dtype

_SIZES = (torch.Tensor.shape.__get__, torch.Tensor.size, torch.Tensor.numel, torch.numel, torch.Tensor.dim)
_SIZES_OF_SIZES = (operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg)
_SCALARS = (bool, int, float, operator.index, operator.not_, operator.truth, torch.Tensor.item)


def with_tensor_numbers(program: Program) -> Program:
    """The program with 0-dim tensors of int64, float64 and bool in place of numbers, but for sizes.

    Raises:
        LoweringError: a number goes to what takes no tensor, or is made by what gives none.
    """
    return _Numbers(program).program(program)


class _Numbers(Expander):
    def __init__(self, program: Program):
        super().__init__(program)
        self._sizes: set[Value] = set()

    def value(self, value: Value) -> Value:
        return self.define(super().value(value))

    def define(self, value: Value) -> Value:
        if is_number(value.type) and value not in self._sizes:
            return Value(value.number, number_type(value.type.python_type))  # type: ignore[union-attr]
        return value

    def terminator(self, terminator: Terminator) -> Terminator:
        made = super().terminator(terminator)
        match made:
            case Yield(values):
                return Yield(self._tensors(values))
            case Continue(values):
                return Continue(self._tensors(values))
            case Condition(go_on, exits):
                return Condition(self._tensors(go_on), self._tensors(exits))
            case Return(values):
                return Return(self._tensors(values), made.writes)
        return made

    def op(self, op: Op) -> Op:
        made = super().op(op)
        if isinstance(made, If):
            return replace(made, condition=self._truth(made.condition))
        return replace(made, inits=self._tensors(made.inits)) if isinstance(made, While) else made

    def _truth(self, condition: Value) -> Value:
        """The condition of a branch as a tensor of one bool."""
        kind = condition.type
        if isinstance(kind, TensorType) and kind.shape:
            scalar = TensorType(kind.dtype, (), kind.device)
            condition = self.call(torch.Tensor.reshape, condition, (), to=scalar)
        return as_tensor(self, condition, torch.bool)

    def expand(self, op: Op) -> Op | None:
        if not isinstance(op, Call):
            return self.op(op)
        if self._is_size(op):
            self._sizes.update(op.results)
        elif len(op.results) == 1 and is_number(op.results[0].type):
            self.replace(op.results[0], self._number(op))
            return None
        elif any(map(self._is_dynamic, op.operands)):
            return self._with_scalars(op)
        return self.op(op)

    def _is_dynamic(self, leaf: Tree) -> bool:
        """Whether a leaf is a number with a tensor in its place."""
        return isinstance(leaf, Value) and is_number(leaf.type) and leaf not in self._sizes

    def _is_size(self, call: Call) -> bool:
        if call.target in _SIZES:
            return True
        return call.target in _SIZES_OF_SIZES and bool(call.operands) and self._sizes.issuperset(call.operands)

    def _tensors(self, tree: Tree) -> Any:
        """A tree at the end of a block, or of what a loop starts with, with tensors for its numbers."""

        def part(leaf: Any) -> Any:
            kind = type(leaf)
            if isinstance(leaf, Value) and is_number(leaf.type):
                kind = leaf.type.python_type  # type: ignore[union-attr]
            return as_tensor(self, leaf, DTYPES[kind]) if kind in DTYPES else leaf

        return map_tree(part, tree)

    def _number(self, call: Call) -> Value:
        """The tensor for a number that a call gives."""
        result = number_type(call.results[0].type.python_type)  # type: ignore[union-attr]
        operands = [one.type for one in call.operands]
        if call.target in _SCALARS and len(operands) == 1 and isinstance(operands[0], TensorType):
            return self._of_tensor(call, operands[0], result)
        if all(is_number(one) for one in operands):
            made = arithmetic(self, call.target, self.tree(call.args), result)
            if made is not None:
                return made
        kinds = ", ".join(map(str, operands))
        raise self.refusal(f"{display_name(call.target)} of {kinds} to a number of Python can't be lowered")

    def _of_tensor(self, call: Call, kind: TensorType, result: TensorType) -> Value:
        """The number that a tensor of one element holds."""
        if None in kind.shape or kind.dtype.is_complex:
            raise self.refusal(f"{display_name(call.target)} of a {kind} can't be lowered")
        scalar = TensorType(kind.dtype, (), kind.device)
        tensor = self.value(call.operands[0])
        if kind.shape:
            tensor = self.call(torch.Tensor.reshape, tensor, (), to=scalar)
        if kind.dtype in (torch.int64, torch.float64, torch.bool) or result.dtype != torch.int64:
            wide = tensor
        else:
            wide = as_tensor(self, tensor, torch.float64 if kind.dtype.is_floating_point else torch.int64)
        target = operator.pos if call.target is torch.Tensor.item else call.target
        made = arithmetic(self, target, (wide,), result)
        assert made is not None
        return made

    def _with_scalars(self, call: Call) -> Call:
        """A call that takes tensors in place of numbers."""
        made = self.op(call)
        assert isinstance(made, Call)
        args = list(call.args)
        if call.target in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            args[1] = map_tree(partial(self._scalar, call, dtype=torch.int64), args[1])

        def part(leaf: Any) -> Any:
            return self._scalar(call, leaf, scalar_dtype(call, leaf) if self._is_dynamic(leaf) else None)

        return replace(made, args=map_tree(part, tuple(args)), kwargs=map_tree(part, call.kwargs))

    def _scalar(self, call: Call, leaf: Any, dtype: torch.dtype | None) -> Any:
        """What a call takes in place of a leaf, which may be a number."""
        if not self._is_dynamic(leaf):
            return self.value(leaf) if isinstance(leaf, Value) else leaf
        if dtype is None:
            raise self.refusal(f"{display_name(call.target)} of a number that the program computes can't be lowered")
        return as_tensor(self, self.value(leaf), dtype)

"""Writes the ops of lowered code: a pass over a program that puts several ops where one was."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import Location
from d2s.runtime.ir.editing import fresh_number
from d2s.runtime.ir.program import (
    PURE,
    Block,
    Call,
    Effects,
    Op,
    Program,
    PythonType,
    TensorType,
    Terminator,
    Tree,
    Value,
    ValueType,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.lowering.refusing import LoweringError

TRUTH = TensorType(torch.bool, ())
# What tensors stand for numbers of Python.
DTYPES: dict[type, torch.dtype] = {bool: torch.bool, int: torch.int64, float: torch.float64}


class Expander(Rewriter):
    """A copy of a program with any number of ops in place of each: `expand` adds them."""

    def __init__(self, program: Program):
        self._numbers = itertools.count(fresh_number(program))
        self._ops: list[Op] = []
        self._instead: dict[Value, Value] = {}
        self._modes = program.modes
        self._location: Location | None = None

    def block(
        self,
        block: Block,
        finish: Callable[[Any], Terminator] | None = None,
        begin: Callable[[], None] | None = None,
    ) -> Block:
        """A block, with what was put in place of its ops.

        Its end is made by `finish` in place of `terminator`; it and `begin` may add ops.
        """
        outside, self._ops = self._ops, []
        try:
            if begin is not None:
                begin()
            for op in block.ops:
                self._modes, self._location = op.modes, op.location
                made = self.expand(op)
                if made is not None:
                    self.add(made)
            end = block.terminator
            return Block(self._ops, None if end is None else (finish or self.terminator)(end))
        finally:
            self._ops = outside

    def expand(self, op: Op) -> Op | None:
        """The last of the ops in place of an op; None if all have been added."""
        return self.op(op)

    def value(self, value: Value) -> Value:
        """What stands for a value."""
        return self._instead.get(value, value)

    def replace(self, value: Value, new: Value) -> None:
        """Have a value stand for another one from here on."""
        self._instead[value] = new

    def add(self, op: Op) -> None:
        """Put an op where the pass has come to."""
        self._ops.append(op)

    def new(self, kind: ValueType) -> Value:
        """A value that nothing in the program is yet."""
        return Value(next(self._numbers), kind)

    def call(
        self, target: Callable[..., Any], *args: Tree, to: ValueType, effects: Effects = PURE, **kwargs: Tree
    ) -> Value:
        """The result, of type `to`, of a call that is put here."""
        result = self.new(to)
        self.add(Call(target, args, kwargs, result, effects, self._modes, self._location))
        return result

    def view(self, target: Callable[..., Any], tensor: Value, *args: Tree, to: ValueType) -> Value:
        """The view of a tensor that a call gives which is put here."""
        return self.call(target, tensor, *args, to=to, effects=Effects(aliases=(tensor,)))

    def write(self, target: Callable[..., Any], tensor: Value, *args: Tree) -> None:
        """A call that writes to a tensor is put here."""
        self.call_for_effect(target, tensor, *args, effects=Effects((tensor,)))

    def call_for_effect(self, target: Callable[..., Any], *args: Tree, effects: Effects) -> None:
        """A call without a result is put here."""
        self.add(Call(target, args, {}, None, effects, self._modes, self._location))

    def refusal(self, reason: str) -> LoweringError:
        """The error for what can't be lowered here."""
        return LoweringError(reason, self._location)


def is_number(kind: ValueType) -> bool:
    """Whether what is of this type is a number of Python that has a tensor in its place."""
    return isinstance(kind, PythonType) and kind.python_type in DTYPES


def number_type(kind: type) -> TensorType:
    """What stands for a number of a class."""
    return TensorType(DTYPES[kind], ())


def number_tensor(number: Any) -> torch.Tensor:
    """The tensor that stands for a number."""
    return torch.full((), number, dtype=DTYPES[type(number)])


def as_tensor(into: Expander, leaf: Tree, dtype: torch.dtype) -> Value:
    """A number, constant or not, as a 0-dim tensor."""
    kind = TensorType(dtype, ())
    if not isinstance(leaf, Value) or isinstance(leaf.type, PythonType):
        return into.call(torch.full, (), leaf, dtype=dtype, to=kind)
    return leaf if leaf.type == kind else into.call(torch.Tensor.to, leaf, dtype, to=kind)

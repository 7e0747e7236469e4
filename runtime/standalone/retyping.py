"""Brings the types of a program up to date after an edit: what uses a value of another type is captured anew."""

from __future__ import annotations

from typing import Any

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.editing import take_over
from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    PythonType,
    Return,
    TensorType,
    Value,
    ValueType,
    While,
    Yield,
    values_in,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.recording.capture import Convert
from d2s.runtime.recording.specs import CannotJoinError, join_tensor_types
from d2s.runtime.standalone.calling import captured_call, is_operand

# As many times a loop is gone through until its carried values keep their types.
_MOST_TRIPS = 4


def retyped(program: Program, changed: dict[Value, ValueType], convert: Convert) -> dict[Value, ValueType]:
    """The types of the values that depend on those that are of another type now, these included.

    Raises:
        D2SError: an op can't take what it is given now, or the sides of an `if` or the trips of a loop differ.
    """
    pass_ = _Retyping(changed, convert)
    pass_.block(program.body)
    return pass_.types


class _Retyping:
    def __init__(self, changed: dict[Value, ValueType], convert: Convert):
        self.types = dict(changed)
        self._convert = convert

    def block(self, block: Block) -> None:
        for op in block.ops:
            self._op(op)
        if isinstance(block.terminator, Branch):
            self.block(block.terminator.then)
            self.block(block.terminator.orelse)

    def _type(self, tree: Any) -> ValueType:
        if isinstance(tree, Value):
            return self.types.get(tree, tree.type)
        return PythonType(type(tree))

    def _set(self, value: Value, kind: ValueType) -> None:
        if kind != self._type(value):
            self.types[value] = kind

    def _op(self, op: Op) -> None:
        match op:
            case Call():
                self._call(op)
            case If():
                self._decides(op, op.condition)
                self.block(op.then)
                self.block(op.orelse)
                sides = [_yields(side) for side in op.blocks]
                for index, result in enumerate(op.results):
                    self._join(op, result, [values[index] for side in sides for values in side])
            case While():
                self._loop(op)

    def _loop(self, op: While) -> None:
        for _ in range(_MOST_TRIPS):
            before = dict(self.types)
            self.block(op.test)
            self.block(op.body)
            nexts = [leaf.terminator.values for leaf in op.body.leaves() if isinstance(leaf.terminator, Continue)]
            for index, param in enumerate(op.params):
                self._join(op, param, [op.inits[index], *(values[index] for values in nexts)])
            if self.types == before:
                break
        else:
            raise D2SError(f"{_at(op)}: what the loop carries is of another type at each trip after this edit")
        exits = [leaf.terminator.exits for leaf in op.test.leaves() if isinstance(leaf.terminator, Condition)]
        for leaf in op.test.leaves():
            if isinstance(leaf.terminator, Condition):
                self._decides(op, leaf.terminator.go_on)
        for index, result in enumerate(op.results):
            self._join(op, result, [values[index] for values in exits])

    def _decides(self, op: Op, condition: Any) -> None:
        kind = self._type(condition)
        if isinstance(kind, TensorType) and any(size not in (None, 1) for size in kind.shape):
            raise D2SError(
                f"{_at(op)}: it decides on a tensor of type {kind} after this edit, which is no single truth"
            )

    def _join(self, op: Op, value: Value, trees: list[Any]) -> None:
        """Have a value be of a type that covers all of these."""
        if not any(leaf in self.types for leaf in values_in(trees)):
            return
        kinds = [self._type(tree) for tree in trees]
        joined = kinds[0]
        for kind in kinds[1:]:
            joined = _joined(op, joined, kind)
        self._set(value, joined)

    def _call(self, op: Call) -> None:
        if not any(value in self.types for value in op.operands) or not op.results:
            return
        given = _WithTypes(self.types)
        args, kwargs = given.tree(op.args), given.tree(op.kwargs)
        if not all(map(is_operand, values_in((args, kwargs)))):
            return
        try:
            captured, _ = captured_call(op.target, args, kwargs, op.modes, self._convert)
        except D2SError as error:
            raise D2SError(
                f"{_at(op)}: {display_name(op.target)} can't take what it is given now: {error}"
            ) from error
        end = captured.program.body.terminator
        assert isinstance(end, Return)
        found = values_in(end.value)
        if len(found) != len(op.results):
            raise D2SError(f"{_at(op)}: {display_name(op.target)} gives something else now")
        for old, new in zip(op.results, found, strict=True):
            self._set(old, new.type)


class _WithTypes(Rewriter):
    """Values of their types now."""

    def __init__(self, types: dict[Value, ValueType]):
        self._types = types

    def value(self, value: Value) -> Value:
        return Value(value.number, self._types.get(value, value.type))

    def define(self, value: Value) -> Value:
        return self.value(value)


def set_types(program: Program, types: dict[Value, ValueType]) -> None:
    """Have the values of a program be of these types, in place."""
    take_over(program, _WithTypes(types).program(program))


def _yields(block: Block) -> list[list[Any]]:
    return [leaf.terminator.values for leaf in block.leaves() if isinstance(leaf.terminator, Yield)]


def _joined(op: Op, first: ValueType, second: ValueType) -> ValueType:
    if first == second:
        return first
    if isinstance(first, PythonType) and isinstance(second, PythonType):
        return PythonType(object)
    try:
        if isinstance(first, TensorType) and isinstance(second, TensorType):
            return join_tensor_types(first, second)
    except CannotJoinError:
        pass  # they differ in more than their sizes
    raise D2SError(f"{_at(op)}: one way gives {first}, another {second} after this edit")


def _at(op: Op) -> str:
    return f"line {op.location.line}" if op.location else "an op of the program"

"""The form of a program that tells whether two of them do the same, whatever their values are numbered."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Hashable
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    If,
    Op,
    Program,
    Raise,
    Return,
    TensorType,
    Value,
    ValueType,
    leaves_of,
    map_tree,
    terminator_tree,
)

# Constants of these classes are the same if they are equal; others if they are the same object.
_BY_VALUE = (bool, int, float, complex, str, bytes, type(None))


def canonical(program: Program, with_grad_mode: bool = True) -> Hashable:
    """Equal for programs that do the same; what asks for gradients, and where the code stood, is left out.

    Without `with_grad_mode` neither is it in it whether the graph of gradients was recorded.
    """
    return _Canonical(with_grad_mode).program(program)


class _Canonical:
    def __init__(self, with_grad_mode: bool):
        self.with_grad_mode = with_grad_mode
        self._numbers: dict[Value, Hashable] = {}
        self._count = itertools.count()
        # What are negations, by what they negate: `if not c` is the same `if` with its blocks exchanged.
        self._negated: dict[Value, Value] = {}

    def program(self, program: Program) -> Hashable:
        inputs = tuple((self._define(one.value), one.source, one.role) for one in program.inputs)
        return inputs, self._modes(program.modes), self._block(program.body)

    def _block(self, block: Block) -> Hashable:
        ops = tuple(self._op(op) for op in block.ops if not self._is_negation(op))
        end = block.terminator
        inner = (self._block(end.then), self._block(end.orelse)) if isinstance(end, Branch) else ()
        writes = tuple((one.kind, one.source) for one in end.writes) if isinstance(end, Return | Raise) else ()
        return ops, type(end), self._tree(terminator_tree(end)), writes, inner

    def _is_negation(self, op: Op) -> bool:
        if not (isinstance(op, Call) and op.target is operator.not_ and isinstance(op.args[0], Value)):
            return False
        assert isinstance(op.result, Value)
        self._negated[op.result] = op.args[0]
        self._numbers[op.result] = "not", self._numbers.get(op.args[0], op.args[0])
        return True

    def _op(self, op: Op) -> Hashable:
        modes = self._modes(op.modes)
        if isinstance(op, Call):
            effects = op.effects.random, op.effects.ordered
            called = op.target, self._tree(op.args), self._tree(op.kwargs), effects, modes
            return *called, tuple(map(self._define, op.results)), self._tree(op.result)
        if isinstance(op, If):
            condition, first, second = op.condition, op.then, op.orelse
            while condition in self._negated:
                condition, first, second = self._negated[condition], second, first
            given = self._tree(condition), self._block(first), self._block(second), modes
            return *given, tuple(map(self._define, op.results))
        head = self._tree(op.inits), tuple(map(self._define, op.params)), modes
        return *head, self._block(op.test), self._block(op.body), tuple(map(self._define, op.results))

    def _modes(self, modes: Modes) -> Modes:
        return modes if self.with_grad_mode else replace(modes, grad=True)

    def _define(self, value: Value) -> Hashable:
        if value not in self._numbers:
            self._numbers[value] = next(self._count)
        return self._numbers[value], _type(value.type)

    def _tree(self, tree: Any) -> Hashable:
        """The structure of a tree and its leaves."""
        return repr(map_tree(lambda leaf: 0, tree)), tuple(map(self._leaf, leaves_of(tree)))

    def _leaf(self, leaf: Any) -> Hashable:
        if isinstance(leaf, Value):
            return "value", self._numbers.get(leaf, leaf)
        if isinstance(leaf, _BY_VALUE):
            return type(leaf), repr(leaf)
        try:
            hash(leaf)
        except TypeError:
            return "object", id(leaf)
        return type(leaf), leaf


def _type(kind: ValueType) -> ValueType:
    return replace(kind, requires_grad=False) if isinstance(kind, TensorType) else kind

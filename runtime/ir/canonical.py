"""The form of a program that tells whether two of them do the same, whatever their values are numbered."""

from __future__ import annotations

import operator
from collections.abc import Hashable, Iterator
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    If,
    Op,
    Program,
    Raise,
    Return,
    TensorType,
    Value,
    ValueType,
    Yield,
    leaves_of,
    map_tree,
    terminator_tree,
    values_in,
    walk_blocks,
)

# Constants of these classes are the same if they are equal; others if they are the same object.
_BY_VALUE = (bool, int, float, complex, str, bytes, type(None))


def canonical(program: Program, with_grad_mode: bool = True) -> Hashable:
    """Equal for programs that do the same; what asks for gradients, and where the code stood, is left out.

    Without `with_grad_mode` neither is it in it whether the graph of gradients was recorded.
    """
    return _Canonical(with_grad_mode).program(program)


class _Canonical:
    """`if not c` is the same `if` as `if c` with its blocks exchanged, and `if bool(c)` is `if c`."""

    def __init__(self, with_grad_mode: bool):
        self.with_grad_mode = with_grad_mode
        self._numbers: dict[Value, Hashable] = {}
        self._used: set[Value] = set()
        # Flags that only decide something, by what they are the truth of, and whether they are the opposite of it.
        self._truths: dict[Value, tuple[Value, bool]] = {}

    def program(self, program: Program) -> Hashable:
        self._used = set(_used_as_values(program.body))
        ordered = sorted(program.inputs, key=lambda one: str(one.source))
        inputs = tuple((self._define(one.value), one.source, one.role) for one in ordered)
        return inputs, self._modes(program.modes), self._block(program.body)

    def _block(self, block: Block) -> Hashable:
        ops = tuple(self._op(op) for op in block.ops if not self._is_truth(op))
        end = block.terminator
        if isinstance(end, Branch):
            return ops, Branch, self._fork(end.condition, end.then, end.orelse)
        if isinstance(end, Condition) and isinstance(end.go_on, Value):
            condition, opposite = self._decided_by(end.go_on)
            return ops, Condition, opposite, self._tree([condition, *end.exits])
        writes = tuple((one.kind, one.source) for one in end.writes) if isinstance(end, Return | Raise) else ()
        return ops, type(end), self._tree(terminator_tree(end)), writes

    def _fork(self, condition: Value, then: Block, orelse: Block) -> Hashable:
        base, opposite = self._decided_by(condition)
        first, second = (orelse, then) if opposite else (then, orelse)
        return self._tree(base), self._block(first), self._block(second)

    def _is_truth(self, op: Op) -> bool:
        """Whether an op only gives the truth of a value, or the opposite, for something to be decided by it."""
        found = _truth(op)
        if found is None or op.results[0] in self._used:
            return False
        self._truths[op.results[0]] = found
        return True

    def _decided_by(self, value: Value) -> tuple[Value, bool]:
        opposite = False
        while value in self._truths:
            value, other = self._truths[value]
            opposite ^= other
        return value, opposite

    def _op(self, op: Op) -> Hashable:
        modes = self._modes(op.modes)
        if isinstance(op, Call):
            effects = op.effects.random, op.effects.ordered
            called = op.target, self._tree(op.args), self._tree(op.kwargs), effects, modes
            return *called, tuple(map(self._define, op.results)), self._tree(op.result)
        if isinstance(op, If):
            return self._fork(op.condition, op.then, op.orelse), modes, tuple(map(self._define, op.results))
        head = self._tree(op.inits), tuple(map(self._define, op.params)), modes
        return *head, self._block(op.test), self._block(op.body), tuple(map(self._define, op.results))

    def _modes(self, modes: Modes) -> Modes:
        return modes if self.with_grad_mode else replace(modes, grad=True)

    def _define(self, value: Value) -> Hashable:
        return self._numbers.setdefault(value, len(self._numbers)), _type(value.type)

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


def _used_as_values(body: Block) -> Iterator[Value]:
    """What is used for more than to decide something."""
    for block in walk_blocks(body):
        for op in block.ops:
            if not isinstance(op, If) and _truth(op) is None:
                yield from op.operands
        end = block.terminator
        if not isinstance(end, Branch):
            yield from values_in(end.exits if isinstance(end, Condition) else terminator_tree(end))


def _truth(op: Op) -> tuple[Value, bool] | None:
    """What an op gives the truth of, and whether it gives the opposite; None for another op."""
    match op:
        case Call(target=target, args=(Value() as value,), kwargs={}, result=Value()) if target in (
            bool,
            operator.not_,
        ):
            return value, target is operator.not_
        case If(condition=condition, then=Block([], Yield([bool(then)])), orelse=Block([], Yield([bool(orelse)]))):
            return (condition, orelse) if then is not orelse else None
    return None

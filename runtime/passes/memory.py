"""Says which values of a program may share memory, and what happens to that memory: what passes may move or merge."""

from __future__ import annotations

from collections.abc import Iterable

from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import (
    Call,
    Op,
    Program,
    PythonType,
    Raise,
    Return,
    TensorType,
    Tree,
    Value,
    ValueType,
    terminator_tree,
    values_in,
    walk_blocks,
)

_CONSTANT = (bool, int, float, complex, str, bytes, type(None))


class Memory:
    """What a program does with the memory of its values.

    Values are grouped by the memory that they may share: views with what they are views of, what paths join with what
    it is on each of them, what is in an object of Python with that object.
    """

    def __init__(self, program: Program):
        self._parents: dict[Value, Value] = {}
        written: list[Value] = []
        leaving: list[Value] = []
        for block in walk_blocks(program.body):
            if isinstance(block.terminator, Return | Raise):
                leaving += values_in(terminator_tree(block.terminator))
            for op in block.ops:
                self._share(op)
                if isinstance(op, Call):
                    written += op.effects.writes
                    if op.effects.ordered or not all(_is_known(result.type) for result in op.results):
                        leaving += [*op.operands, *op.results]
        inputs = [entry.value for entry in program.inputs]
        self._written = set(map(self._group, written))
        self._changed = set(self._written)
        if self._written & set(map(self._group, inputs)):
            # The user's tensors may share memory in ways that nothing here knows.
            self._written.update(map(self._group, inputs))
        self._leaving = set(map(self._group, leaving))

    def is_changed(self, value: Value) -> bool:
        """Whether a call writes a value, or what is known to share its memory."""
        return self._group(value) in self._changed

    def is_written(self, value: Value) -> bool:
        """Whether something changes what may be in the memory of a value while the program runs."""
        return self._group(value) in self._written

    def is_own(self, value: Value) -> bool:
        """Whether a value is never written and never leaves the program: nobody can tell it from an equal one."""
        return not self.is_written(value) and self._group(value) not in self._leaving

    def share(self, left: Value, right: Value) -> bool:
        """Whether two values may share memory."""
        return self._group(left) == self._group(right)

    def _group(self, value: Value) -> Value:
        while value in self._parents:
            value = self._parents[value]
        return value

    def _join(self, value: Value, others: Iterable[Tree]) -> None:
        if is_constant_type(value.type):
            return
        for other in values_in(list(others)):
            left, right = self._group(value), self._group(other)
            if left != right and not is_constant_type(other.type):
                self._parents[left] = right

    def _share(self, op: Op) -> None:
        if isinstance(op, Call):
            for result in op.results:
                self._join(result, op.effects.aliases if isinstance(result.type, TensorType) else op.operands)
        else:
            for value, sources in joined_values(op):
                self._join(value, sources)


def visible_calls(program: Program) -> list[Call]:
    """The calls whose effects can be seen from outside: they draw, write an input, or run code of any kind."""
    memory = Memory(program)
    written = {entry.value for entry in program.inputs if memory.is_written(entry.value)}
    return [
        op
        for block in walk_blocks(program.body)
        for op in block.ops
        if isinstance(op, Call)
        and (
            op.effects.random
            or op.effects.ordered
            or any(memory.share(value, other) for value in op.effects.writes for other in written)
        )
    ]


def _is_known(kind: ValueType) -> bool:
    return isinstance(kind, TensorType) or is_constant_type(kind)


def is_constant_type(kind: ValueType) -> bool:
    """Whether what is of this type can't be changed."""
    return isinstance(kind, PythonType) and kind.python_type in _CONSTANT

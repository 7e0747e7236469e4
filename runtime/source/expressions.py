"""What stands for the values of a program in its source: a variable, a path to the user's state, or an expression."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from d2s.runtime.ir.program import Call, If, Op, Program, Value, Yield, use_counts, walk_ops
from d2s.runtime.ir.sources import Source, prefixes
from d2s.runtime.recording.attempts import attempt
from d2s.runtime.source.calls import Calls
from d2s.runtime.source.conditions import truth
from d2s.runtime.source.inlining import inlined_values
from d2s.runtime.source.naming import free_name, variables
from d2s.runtime.source.trees import Trees
from d2s.runtime.source.unset import unset_variables

# How a path to the user's state is written.
Place = Callable[[Source], ast.expr]


class Expressions:
    """Writes values and trees of one program.

    `read_first` are the inputs that the program changes in the user's objects: they are to be put in their
    variables before all else.
    """

    def __init__(self, program: Program, reserved: set[str], place: Place, of_tensor: Callable[[Any], ast.expr]):
        self.place = place
        self._sources = {one.value: one.source for one in program.inputs}
        self._ops = {value: op for op in walk_ops(program.body) for value in op.results}
        self._used = use_counts(program)
        written = {write.source for write in program.writes()}
        changed = {value for value, source in self._sources.items() if written.intersection(prefixes(source))}
        self.read_first = [value for value in self._sources if value in changed & self._used.keys()]
        given: dict[Value, str] = {}
        for value, source in self._sources.items():
            if len(prefixes(source)) == 1:
                given[value] = str(source)
            elif value in self.read_first:
                given[value] = free_name(str(source).rpartition(".")[2], reserved | set(given.values()))
        self._inlined = inlined_values(program, program.names)
        self._names = variables(program, given, self._inlined, reserved - set(given.values()))
        self._unset = unset_variables(program, self._names)
        self._reserved = reserved
        self._trees = Trees(self._value, of_tensor)
        self._calls = Calls(self._trees, place)

    # -------------------------------------------------------------- values

    def name(self, value: Any) -> str | None:
        """The variable of a value; None if nothing uses it, or it is inlined."""
        return self._names.get(value) if value in self._used else None

    def stays_unset(self, target: Value, tree: Any) -> bool:
        """Whether a variable that would get this value needs none."""
        return tree is None and self._names.get(target) in self._unset

    def source_of(self, value: Value) -> ast.expr:
        """Where an input is read."""
        return self.place(self._sources[value])

    def unused(self, stem: str) -> str:
        """A name that is no variable."""
        return free_name(stem, self._reserved | set(self._names.values()))

    def _value(self, value: Value) -> ast.expr:
        if value in self._inlined:
            return self._inlined_op(self._ops[value])
        if value in self._names:
            return ast.Name(self._names[value], ast.Load())
        return self.source_of(value)

    def _inlined_op(self, op: Op) -> ast.expr:
        if isinstance(op, Call):
            return self._calls.expression(op)
        assert isinstance(op, If)
        then, orelse = (_yielded(block.terminator) for block in op.blocks)
        return ast.IfExp(truth(self.tree(op.condition)), self.tree(then), self.tree(orelse))

    # -------------------------------------------------------------- trees and ops

    def tree(self, tree: Any) -> ast.expr:
        """A tree of values and constants."""
        return self._trees.tree(tree)

    def call(self, call: Call) -> ast.expr:
        """A call, as an expression."""
        return self._calls.expression(call)

    def items(self, over: Any) -> ast.expr:
        """What a loop goes over: a value, or the range whose length a call gives."""
        return self._calls.range_of(over) if isinstance(over, Call) else self.tree(over)

    def statement(self, call: Call) -> ast.stmt:
        """A call whose result is not used, as a statement."""
        return self._calls.statement(call)

    def is_inlined(self, op: Op) -> bool:
        """Whether an op is part of an expression that comes later."""
        return bool(op.results) and op.results[0] in self._inlined

    def is_used(self, op: Op) -> bool:
        """Whether any result of an op is."""
        return any(value in self._used for value in op.results)

    def is_attempt(self, op: Call) -> bool:
        """Whether a call is made to see if it raises."""
        return op.target is attempt


def _yielded(end: Any) -> Any:
    assert isinstance(end, Yield)
    return end.values[0]

"""Calls that give what another gave before are left out: common subexpressions."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Hashable

from d2s.runtime.ir.canonical import tree_key
from d2s.runtime.ir.program import Block, Call, Op, Program, Value
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.passes.facts import has_gradients, is_repeatable
from d2s.runtime.passes.memory import Memory


def without_repetitions(program: Program) -> Program:
    """The program with each thing computed once on a path, as far as nobody can tell.

    What gradients go through is left as it is: two small gradients would become one, rounded otherwise.
    """
    return _WithoutRepetitions(Memory(program)).program(program)


class _WithoutRepetitions(Rewriter):
    def __init__(self, memory: Memory):
        self._memory = memory
        self._found: ChainMap[Hashable, Call] = ChainMap()
        self._same: dict[Value, Value] = {}

    def value(self, value: Value) -> Value:
        return self._same.get(value, value)

    def block(self, block: Block) -> Block:
        outside, self._found = self._found, self._found.new_child()
        ops = [kept for op in block.ops if (kept := self._kept(op)) is not None]
        terminator = None if block.terminator is None else self.terminator(block.terminator)
        self._found = outside
        return Block(ops, terminator)

    def _kept(self, op: Op) -> Op | None:
        made = self.op(op)
        if not isinstance(made, Call) or has_gradients(made) or not is_repeatable(made, self._memory):
            return made
        key = made.target, tree_key((made.args, made.kwargs)), tree_key(made.result, lambda value: None), made.modes
        found = self._found.setdefault(key, made)
        if found is made:
            return made
        self._same.update(zip(made.results, found.results, strict=True))
        return None

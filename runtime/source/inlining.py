"""Which values are written where they are used, and get no variable: what people write as one expression.

Python evaluates an expression from left to right. So the calls before an op that nothing but the op uses may stand
inside it if they come last before it, and in the order in which it uses them: then all runs in the program's order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    If,
    Op,
    Program,
    PythonType,
    Raise,
    Return,
    Value,
    Yield,
    terminator_tree,
    use_counts,
    values_in,
)
from d2s.runtime.source.calls import is_statement, swaps_operands

# So many ops may be in one expression; a condition reads well when it is longer.
_MOST_OPS, _MOST_OF_CONDITION = 5, 16


def inlined_values(program: Program, named: Collection[Value]) -> set[Value]:
    """The values that need no variable; those in `named` have one in the user's code, and keep it."""
    inlining = _Inlining(set(named), use_counts(program))
    inlining.block(program.body)
    return inlining.inlined


class _Inlining:
    def __init__(self, named: set[Value], uses: Counter[Value]):
        self.inlined: set[Value] = set()
        self._named = named
        self._uses = uses
        self._size: dict[Value, int] = {}

    def block(self, block: Block) -> bool:
        """Decide for all that a block defines; whether its ops are all inside its end."""
        waiting: list[tuple[Op, Value]] = []
        whole = True
        for op in block.ops:
            if waiting and waiting[-1][0].modes != op.modes:
                waiting, whole = [], False
            used = self._take(waiting, _operands_in_order(op))
            inner = [self.block(block) for block in op.blocks]
            size = 1 + sum(self._size[value] for value in used)
            if size <= _most_ops(op) and all(inner) and self._can_wait(op):
                waiting.append((op, op.results[0]))
                self._size[op.results[0]] = size + sum(self._size.get(one, 0) for one in _yielded(op))
            else:
                waiting, whole = [], False
        if isinstance(block.terminator, Branch):
            self._take(waiting, [block.terminator.condition])
            self.block(block.terminator.then)
            self.block(block.terminator.orelse)
            return False
        self._take(waiting, _used_at_end(block))
        return whole and not waiting

    def _take(self, waiting: list[tuple[Op, Value]], operands: Sequence[Value]) -> list[Value]:
        """The last of the waiting values, as many as the operands are in their order: they are inside their user."""
        taken: list[Value] = []
        for operand in reversed(operands):
            if waiting and waiting[-1][1] == operand:
                taken.append(waiting.pop()[1])
        self.inlined.update(taken)
        return taken

    def _can_wait(self, op: Op) -> bool:
        """Whether an op can be inside an expression that comes later."""
        if len(op.results) != 1 or self._uses[op.results[0]] != 1 or op.results[0] in self._named:
            return False
        if isinstance(op, Call):
            return isinstance(op.result, Value) and not is_statement(op)
        plain = all(isinstance(one.terminator, Yield) for one in op.blocks)
        return isinstance(op, If) and plain and all(one.modes == op.modes for block in op.blocks for one in block.ops)


def _most_ops(op: Op) -> int:
    is_condition = len(op.results) == 1 and op.results[0].type == PythonType(bool)
    return _MOST_OF_CONDITION if is_condition else _MOST_OPS


def _yielded(op: Op) -> list[Value]:
    return [value for block in op.blocks for value in values_in(terminator_tree(block.terminator))]


def _operands_in_order(op: Op) -> list[Value]:
    """What an op uses, in the order in which it is written."""
    if isinstance(op, Call):
        return list(reversed(op.operands)) if swaps_operands(op) else op.operands
    return op.operands


def _used_at_end(block: Block) -> list[Value]:
    """What the end of a block uses in an expression of its own, before anything is assigned."""
    end = block.terminator
    if isinstance(end, Return | Raise) and end.writes:
        return []
    if isinstance(end, Condition):
        return values_in(end.go_on)
    return values_in(terminator_tree(end))

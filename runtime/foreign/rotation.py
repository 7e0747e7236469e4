"""Puts the tests of loops back to their heads: TorchScript tests before a loop, and at the end of its body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.normal import without_carried
from d2s.runtime.ir.program import (
    Block,
    Call,
    Condition,
    Continue,
    Op,
    Program,
    Value,
    While,
    leaves_of,
    map_tree,
    use_counts,
)
from d2s.runtime.ir.rewriting import Rewriter


def rotated(program: Program) -> Program:
    """The program with such loops as `while` loops that test at their heads."""
    return _Rotating(program).program(program)


class _Rotating(Rewriter):
    def __init__(self, program: Program):
        self._uses = use_counts(program)

    def block(self, block: Block) -> Block:
        made = super().block(block)
        place = 0
        while place < len(made.ops):
            op = made.ops[place]
            if isinstance(op, While):
                before = self._computing(made.ops[:place], _flag_of(op)[1])
                loop = self._rotate(op, before)
                if loop is not None:
                    made.ops[place - len(before) : place + 1] = [loop]
                    place -= len(before)
            place += 1
        return made

    def _computing(self, ops: Sequence[Op], value: Any) -> list[Op]:
        """The last of some ops, as far as they do nothing but compute a value, which is used once."""
        wanted = {value} if isinstance(value, Value) and self._uses[value] == 1 else set()
        found: list[Op] = []
        for op in reversed(ops):
            if not (isinstance(op, Call) and op.effects.pure and len(op.results) == 1 and op.results[0] in wanted):
                break
            found.insert(0, op)
            wanted |= {one for one in op.operands if self._uses[one] == 1}
        return found

    def _rotate(self, loop: While, before: list[Op]) -> While | None:
        """The loop with what computes its flag at its head; None if that is not computed alike in both places."""
        flag, start = _flag_of(loop)
        end = loop.body.terminator
        if flag is None or not before or not isinstance(end, Continue):
            return None
        last = self._computing(loop.body.ops, end.values[loop.params.index(flag)])[-len(before) :]
        results = loop.results_of(flag)
        unused = not any(self._uses[one] for one in results)
        if len(last) != len(before) or not unused or self._uses[flag] != 1 + len(results):
            return None
        matching = _Matching(loop.params, loop.inits, end.values)
        if not all(matching.ops_match(first, second) for first, second in zip(before, last, strict=True)):
            return None
        test = [_Placing(matching.params).op(op) for op in before]
        body = Block(loop.body.ops[: len(loop.body.ops) - len(last)], end)
        return without_carried(replace(loop, test=Block(test, Condition(start, loop.exits)), body=body), flag)


class _Matching:
    """Whether ops before a loop are those at the end of its body, on what the loop carries; `params` says on what."""

    def __init__(self, params: Sequence[Value], inits: Sequence[Any], following: Sequence[Any]):
        self.params: dict[Value, Value] = {}
        self._carried = list(zip(params, inits, following, strict=True))
        self._same: dict[Value, Value] = {}

    def ops_match(self, first: Op, second: Op) -> bool:
        """Whether an op does before the loop what another does in its body."""
        if not (isinstance(first, Call) and isinstance(second, Call) and first.target == second.target):
            return False
        trees = [(one.args, one.kwargs) for one in (first, second)]
        shapes = [repr(map_tree(lambda leaf: None, tree)) for tree in trees]
        leaves = list(map(leaves_of, trees))
        if shapes[0] != shapes[1] or first.modes != second.modes or len(leaves[0]) != len(leaves[1]):
            return False
        self._same[first.results[0]] = second.results[0]
        return all(map(self._leaves_match, *leaves))

    def _leaves_match(self, first: Any, second: Any) -> bool:
        if not isinstance(first, Value):
            return type(first) is type(second) and bool(first == second)
        if self._same.get(first) == second and isinstance(second, Value):
            return True
        for param, init, following in self._carried:
            if init == first and following == second and isinstance(second, Value):
                self.params[first] = param
                return True
        return bool(first == second)


class _Placing(Rewriter):
    """Puts the carried values of a loop in place of what they start as."""

    def __init__(self, params: dict[Value, Value]):
        self._params = params

    def value(self, value: Value) -> Any:
        return self._params.get(value, value)


def _flag_of(loop: While) -> tuple[Value | None, Any]:
    """The carried flag that alone decides whether to go on, and what it starts as."""
    end = loop.test.terminator
    if loop.test.ops or not isinstance(end, Condition) or end.go_on not in loop.params:
        return None, None
    return end.go_on, loop.inits[loop.params.index(end.go_on)]

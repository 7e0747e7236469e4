"""Loops of TorchScript over a range that can end early, as the programs of this package have them.

TorchScript carries whether to go on: there are numbers left, and no `break` was met. A program tests before each trip
that there are numbers left, and that a flag is not set; from this `for` and `break` are found again.
"""

from __future__ import annotations

import itertools
import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.editing import fresh_number
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
    Value,
    While,
    Yield,
    use_counts,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.operators.sequences import range_length


def counted(program: Program) -> Program:
    """The program with such loops in that form."""
    return _Counting(program).program(program)


class _Counting(Rewriter):
    def __init__(self, program: Program):
        self._uses: Counter[Value] = use_counts(program)
        self._numbers = itertools.count(fresh_number(program))

    def block(self, block: Block) -> Block:
        made = super().block(block)
        ops: list[Op] = []
        for op in made.ops:
            found = self._counted(op, ops) if isinstance(op, While) else None
            if found is not None:
                asked, length, loop = found
                ops = [one for one in ops if one is not asked]
                ops += [length, loop]
            else:
                ops.append((isinstance(op, While) and self._endless(op)) or op)
        return Block(ops, made.terminator)

    def _value(self, kind: type) -> Value:
        return Value(next(self._numbers), PythonType(kind))

    def _endless(self, loop: While) -> While | None:
        """A loop that goes on until a trip says otherwise, with a flag to stop it; None for another loop."""
        test, end = loop.test.terminator, loop.body.terminator
        if loop.test.ops or not isinstance(test, Condition) or not isinstance(end, Continue):
            return None
        place = loop.params.index(test.go_on) if test.go_on in loop.params else -1
        setting = loop.body.ops[-1] if loop.body.ops else None
        if place < 0 or loop.inits[place] is not True or not isinstance(setting, If):
            return None
        goes_on, results = end.values[place], loop.results_of(loop.params[place])
        unused = self._uses[test.go_on] == 1 + len(results) and not any(self._uses[one] for one in results)
        if goes_on not in setting.results or self._uses[goes_on] != 1 or not unused:
            return None
        stopped = _stopping(setting, setting.results.index(goes_on), lambda: self._value(bool))
        if stopped is None:
            return None
        flag, open_ = self._value(bool), self._value(bool)
        head = Block([Call(operator.not_, (flag,), {}, open_)])
        return _with_flag(loop, place, flag, head, open_, [*loop.body.ops[:-1], stopped], stopped.results[-1])

    def _counted(self, loop: While, before: list[Op]) -> tuple[Op, Call, While] | None:
        """What asked whether there are numbers, the number of trips, and the loop; None for another loop."""
        test, end, ops = loop.test.terminator, loop.body.terminator, loop.body.ops
        if loop.test.ops or not isinstance(test, Condition) or not isinstance(end, Continue) or len(ops) < 4:
            return None
        if test.go_on not in loop.params:
            return None
        place = loop.params.index(test.go_on)
        setting, adding, comparing, joining = ops[-4:]
        match adding, comparing, joining:
            case (
                Call(target=operator.add, args=(Value() as counter, 1)),
                Call(target=operator.lt, args=(following, most)),
                Call(target=operator.and_, args=(left, Value() as goes_on)),
            ) if adding.result == following and comparing.result == left and joining.result == end.values[place]:
                pass
            case _:
                return None
        asked = next((one for one in before if one.results == [loop.inits[place]]), None)
        is_range = (
            isinstance(asked, Call)
            and asked.target is operator.gt
            and asked.args == (most, 0)
            and counter in loop.params
            and loop.inits[loop.params.index(counter)] == 0
            and end.values[loop.params.index(counter)] == following
            and [self._uses[one] for one in (loop.inits[place], left, goes_on)] == [1, 1, 1]
            and not any(self._uses[one] for one in loop.results_of(loop.params[place]))
        )
        if asked is None or not is_range or not isinstance(setting, If) or goes_on not in setting.results:
            return None
        stopped = _stopping(setting, setting.results.index(goes_on), lambda: self._value(bool))
        if stopped is None:
            return None
        return self._made(loop, place, asked, stopped, adding, counter, most)

    def _made(
        self, loop: While, place: int, asked: Op, stopped: If, adding: Op, counter: Value, most: Any
    ) -> tuple[Op, Call, While]:
        length = Call(range_length, (0, most, 1), {}, self._value(int), location=loop.location)
        flag, less, open_, both = (self._value(bool) for _ in range(4))
        unless_stopped = Block([Call(operator.not_, (flag,), {}, open_)], Yield([open_]))
        both_hold = If(less, unless_stopped, Block([], Yield([False])), [both])
        head = Block([Call(operator.lt, (counter, length.result), {}, less), both_hold])
        ops = [*loop.body.ops[:-4], stopped, adding]
        return asked, length, _with_flag(loop, place, flag, head, both, ops, stopped.results[-1])


def _with_flag(loop: While, place: int, flag: Value, head: Block, go_on: Value, ops: list[Op], stops: Value) -> While:
    """The loop with a flag to stop it where it carried whether to go on; `head` is its test, `ops` its body."""
    end, old = loop.body.terminator, loop.params[place]
    assert isinstance(end, Continue)
    return replace(
        loop,
        params=_put_at(loop.params, place, flag),
        inits=_put_at(loop.inits, place, False),
        test=Block(head.ops, Condition(go_on, [flag if one == old else one for one in loop.exits])),
        body=Block(ops, Continue(_put_at(end.values, place, stops))),
    )


def _put_at(items: list[Any], place: int, item: Any) -> list[Any]:
    return [*items[:place], item, *items[place + 1 :]]


def _stopping(setting: If, place: int, fresh: Callable[[], Value]) -> If | None:
    """An `if` that gives, in addition, the opposite of one of its results; None if that is not known on all paths."""
    sides = [_stopping_side(side, place, fresh) for side in setting.blocks]
    if sides[0] is None or sides[1] is None:
        return None
    return replace(setting, then=sides[0], orelse=sides[1], results=[*setting.results, fresh()])


def _stopping_side(side: Block, place: int, fresh: Callable[[], Value]) -> Block | None:
    end = side.terminator
    if isinstance(end, Branch):
        then, orelse = (_stopping_side(one, place, fresh) for one in (end.then, end.orelse))
        return None if then is None or orelse is None else Block(side.ops, Branch(end.condition, then, orelse))
    if not isinstance(end, Yield):
        return side
    goes_on = end.values[place]
    if isinstance(goes_on, bool):
        return Block(side.ops, Yield([*end.values, not goes_on]))
    last = side.ops[-1] if side.ops else None
    inner = (
        _stopping(last, last.results.index(goes_on), fresh)
        if isinstance(last, If) and goes_on in last.results
        else None
    )
    return None if inner is None else Block([*side.ops[:-1], inner], Yield([*end.values, inner.results[-1]]))

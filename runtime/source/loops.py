"""Loops as Python has them: `for` over a range or over the rows of a tensor, and `break` in place of a flag.

A program counts the trips of a `for` itself, and before each trip tests a flag that a `break` has set. Where nothing
else uses the counter or the flag, the loop is written without it.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from d2s.runtime.ir.normal import moved_into, without_carried
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
    is_tensor,
    use_counts,
    values_in,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.values import defined_by
from d2s.runtime.operators.sequences import range_length


@dataclass(eq=False)
class For(While):
    """A loop whose test always holds, over the items of `over`: a tensor, or the call of a range's length for the
    range. `item` is the next one in each trip."""

    item: Value | None = None
    over: Call | Value | None = None

    @property
    def operands(self) -> list[Value]:
        over = self.over.operands if isinstance(self.over, Call) else values_in(self.over)
        return [*values_in(self.inits), *over]


@dataclass(eq=False)
class Break(Continue):
    """Ends a trip as `Continue` does, and the loop with it."""


def assigned_by(op: Op) -> list[Value]:
    """The values that an op defines, the item of a loop of Python's included."""
    if isinstance(op, For) and op.item is not None:
        return [*op.params, op.item, *op.results]
    return defined_by(op)


def with_loops(program: Program) -> Program:
    """The program with the loops of Python that its loops are."""
    return _WithLoops(program).program(program)


class _WithLoops(Rewriter):
    def __init__(self, program: Program):
        self._uses = use_counts(program)

    def block(self, block: Block) -> Block:
        made = super().block(Block([op for op in block.ops if not self._is_needless(op)], block.terminator))
        for place, op in enumerate(made.ops):
            if isinstance(op, While):
                made.ops[place] = self._over_items(self._without_flag(op), made.ops)
        needless = {id(op.over) for op in made.ops if isinstance(op, For)}
        lengths = {id(op) for op in made.ops if self._is_only_a_length(op, made.ops)}
        return Block([op for op in made.ops if id(op) not in needless | lengths], made.terminator)

    def _is_needless(self, op: Op) -> bool:
        """Whether an op only asks for the truth of a Python object, which nothing uses."""
        asks = isinstance(op, Call) and op.target in (bool, operator.not_) and not self._uses[op.results[0]]
        return asks and all(isinstance(value.type, PythonType) and not is_tensor(value.type) for value in op.operands)

    # -------------------------------------------------------------- break

    def _without_flag(self, loop: While) -> While:
        """The loop with `break` in place of a flag that its test is about."""
        flag, test = _tested_flag(loop)
        if flag not in loop.params or loop.inits[loop.params.index(flag)] is not False:
            return loop
        results = loop.results_of(flag)
        ending = _Ending(flag)
        body = ending.block(loop.body, loop.params.index(flag))
        accounted = 1 + ending.kept + len(results)
        if body is None or self._uses[flag] != accounted or any(self._uses[one] for one in results):
            return loop
        return without_carried(replace(loop, test=test, body=body), flag)

    # -------------------------------------------------------------- for

    def _over_items(self, loop: While, around: Sequence[Op]) -> While:
        """The loop as one over a range or over rows, if its test only counts."""
        counter, length = _counted(loop)
        if counter is None or any(self._uses[one] for one in loop.results_of(counter)):
            return loop
        place = loop.params.index(counter)
        counting = next((op for op in loop.body.ops if _calls(op, operator.add, counter, 1)), None)
        ends = [leaf.terminator for leaf in loop.body.leaves() if isinstance(leaf.terminator, Continue)]
        if counting is None or type(loop.inits[place]) is not int or loop.inits[place] != 0:
            return loop
        if any(end.values[place] != counting.results[0] for end in ends if not isinstance(end, Break)):
            return loop
        maker = next((op for op in around if isinstance(op, Call) and length in op.results), None)
        ops = [op for op in loop.body.ops if op is not counting]
        exits = loop.exits.count(counter)
        found = None if maker is None else self._items(maker, counter, self._uses[counter] - exits - 2, ops)
        if found is None:
            return loop
        over, item, ops = found
        test = Block([], Condition(True, loop.exits))
        made = For(**{**vars(loop), "test": test, "body": Block(ops, loop.body.terminator)}, item=item, over=over)
        return without_carried(made, counter)

    def _items(self, maker: Call, counter: Value, uses: int, ops: list[Op]) -> tuple[Any, Value, list[Op]] | None:
        """What a loop goes over, its items, and the ops left of its body, which uses the counter so many times."""
        if maker.target is range_length and self._uses[maker.results[0]] == 1:
            start, _, step = maker.args
            if (start, step) == (0, 1):
                return maker, counter, ops
            scaled = counter
            if uses == 1 and ops and _calls(ops[0], operator.mul, counter, step):
                scaled, ops = ops[0].results[0], ops[1:]
            if ops and _calls(ops[0], operator.add, start, scaled):
                return maker, ops[0].results[0], ops[1:]
        of_rows = maker.target == torch.Tensor.shape.__get__ and uses == 1 and ops
        if of_rows and _calls(ops[0], torch.Tensor.__getitem__, maker.args[0], counter):
            return maker.args[0], ops[0].results[0], ops[1:]
        return None

    def _is_only_a_length(self, op: Op, around: Sequence[Op]) -> bool:
        """Whether an op gives nothing but the number of the rows that a loop goes over."""
        if not isinstance(op, Call) or op.target != torch.Tensor.shape.__get__:
            return False
        loops = [one for one in around if isinstance(one, For) and one.over == op.args[0]]
        return bool(loops) and all(self._uses[value] == (value == op.result[0]) for value in op.results)


class _Ending:
    """Ends the trips of a loop with `break` where they set its flag; `kept` counts where they leave it as it is."""

    def __init__(self, flag: Value):
        self.kept = 0
        self._flag = flag

    def block(self, block: Block, place: int) -> Block | None:
        """The body of a loop, whose flag is carried at this place; None if the flag is set otherwise."""
        end = block.terminator
        if isinstance(end, Branch):
            then, orelse = self.block(end.then, place), self.block(end.orelse, place)
            return None if then is None or orelse is None else Block(block.ops, Branch(end.condition, then, orelse))
        if not isinstance(end, Continue):
            return block
        flag = end.values[place]
        if flag is True:
            return Block(block.ops, Break(end.values))
        if flag is False or flag == self._flag:
            self.kept += flag == self._flag
            return block
        setting = next((op for op in block.ops if isinstance(op, If) and flag in op.results), None)
        if setting is None:
            return None
        after = block.ops[block.ops.index(setting) + 1 :]
        if not all(isinstance(op, Call) and op.target is operator.add for op in after):
            return None
        then, orelse = (self.block(moved_into(side, setting.results, end), place) for side in setting.blocks)
        if then is None or orelse is None:
            return None
        ops = [op for op in block.ops if op is not setting]
        return Block(ops, Branch(setting.condition, then, orelse))


def _tested_flag(loop: While) -> tuple[Value | None, Block]:
    """The flag that must not be set for a trip, and the test without it."""
    test, end = loop.test, loop.test.terminator
    if not test.ops or not isinstance(end, Condition):
        return None, test
    first, last = test.ops[0], test.ops[-1]
    if _calls(first, operator.not_) and len(test.ops) == 1 and end.go_on == first.results[0]:
        return first.operands[0], Block([], Condition(True, end.exits))
    if not (isinstance(last, If) and end.go_on == last.results[0] and _yielded(last.orelse) is False):
        return None, test
    inside = _yielded(last.then)
    if _calls(first, operator.not_) and len(test.ops) == 2 and last.condition == first.results[0]:
        return first.operands[0], Block(last.then.ops, Condition(inside, end.exits))
    if len(last.then.ops) == 1 and _calls(last.then.ops[0], operator.not_) and inside in last.then.ops[0].results:
        return last.then.ops[0].operands[0], Block(test.ops[:-1], Condition(last.condition, end.exits))
    return None, test


def _counted(loop: While) -> tuple[Value | None, Any]:
    """The counter of a loop that goes on while it is less than a number, and that number."""
    end = loop.test.terminator
    match loop.test.ops:
        case [Call(target=operator.lt, args=(Value() as counter, Value() as length), result=Value() as result)]:
            if isinstance(end, Condition) and end.go_on == result and counter in loop.params:
                return counter, length
    return None, None


def _calls(op: Op, target: Any, *args: Any) -> bool:
    """Whether an op is a call of a function with these first arguments, and has one result."""
    return isinstance(op, Call) and op.target == target and op.args[: len(args)] == args and len(op.results) == 1


def _yielded(block: Block) -> Any:
    return block.terminator.values[0] if isinstance(block.terminator, Yield) else None

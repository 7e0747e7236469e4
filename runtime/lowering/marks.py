"""Brings what calls give, anywhere in a program, out of branches and loops, combined to one value.

must(t3)                              ->    t5 = torch.logical_and(t4, t3)
                                            ...
                                            return (..., t5)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.ir.program import (
    Block,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Return,
    Terminator,
    Value,
    While,
    Yield,
    walk_ops,
)
from d2s.runtime.lowering.builder import TRUTH, Expander, as_tensor, number_type

Mark = Callable[..., None]


def has_marks(block: Block, mark: Mark) -> bool:
    """Whether a function is called in a block or inside it."""
    return any(isinstance(op, Call) and op.target is mark for op in walk_ops(block))


def with_marks_returned(program: Program, mark: Mark, start: bool | int, combine: Callable[..., Any]) -> Program:
    """The program with a last value more in the tuple that it returns: the arguments of a function, combined.

    The calls of the function are gone. A loop stops when the combination of truths is false.
    """
    return _Returned(program, mark, start, combine).program(program)


class _Returned(Expander):
    """`_found` is what the marks of a block give up to where the pass has come to; None if there were none."""

    def __init__(self, program: Program, mark: Mark, start: bool | int, combine: Callable[..., Any]):
        super().__init__(program)
        self._mark = mark
        self._start = start
        self._combine = combine
        self._kind = number_type(type(start))
        self._found: Value | None = None

    def expand(self, op: Op) -> Op | None:
        if isinstance(op, Call) and op.target is self._mark:
            self._also(op.args[0])
            return None
        if isinstance(op, Call) or not any(has_marks(block, self._mark) for block in op.blocks):
            return self.op(op)
        if isinstance(op, If):
            self._branch(op)
        else:
            self._loop(op)
        return None

    def program(self, program: Program) -> Program:
        body = self.block(program.body, self._return)
        return replace(program, body=body)

    def _return(self, end: Return) -> Return:
        return Return((*end.value, self._known()), end.writes)

    def _known(self) -> Value:
        return self._found or as_tensor(self, self._start, self._kind.dtype)

    def _also(self, value: Value) -> None:
        self._found = value if self._found is None else self._combined(self._found, value)

    def _combined(self, left: Value, right: Value) -> Value:
        return self.call(self._combine, left, right, to=self._kind)

    def _inside(self, block: Block, finish: Callable[[Any], Terminator], start: Value | None = None) -> Block:
        """A block in which marks add to `start`."""
        outside, self._found = self._found, start
        made = self.block(block, finish)
        self._found = outside
        return made

    def _branch(self, op: If) -> None:
        then, orelse = (self._inside(side, lambda end: Yield([*end.values, self._known()])) for side in op.blocks)
        found = self.new(self._kind)
        self.add(replace(op, then=then, orelse=orelse, results=[*op.results, found]))
        self._also(found)

    def _loop(self, op: While) -> None:
        """A loop that carries what its marks give; those of the test are of the trip that it is before."""
        param, found = self.new(self._kind), self.new(self._kind)
        init = as_tensor(self, self._start, self._kind.dtype)
        tested = param

        def condition(end: Condition) -> Condition:
            nonlocal tested
            tested = self._known()
            go_on = end.go_on
            if self._kind == TRUTH:
                go_on = self.call(torch.logical_and, go_on, tested, to=TRUTH)
            return Condition(go_on, [*end.exits, tested])

        test = self._inside(op.test, condition, param)
        body = self._inside(op.body, lambda end: Continue([*end.values, self._known()]), tested)
        params, inits, results = [*op.params, param], [*op.inits, init], [*op.results, found]
        self.add(replace(op, params=params, inits=inits, test=test, body=body, results=results))
        self._also(found)

"""Checks: where a lowered program can't do what the program does, such as raise, its answer is void.

must(t3, "division by zero")          ->    t5 = torch.logical_and(t4, t3)
                                            ...
                                            return (..., t5)

A loop stops where a check in it has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.ir.program import (
    ORDERED,
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
from d2s.runtime.lowering.builder import TRUTH, Expander


class Unlowered(Exception):
    """A lowered program came to where only the program itself can go on; it has changed nothing yet."""


def must(holds: torch.Tensor, reason: str) -> None:
    """Raise Unlowered unless a tensor of one bool is true.

    As the target of a call it marks a check of a lowered program; `reason` is for people.
    """
    if not holds:
        raise Unlowered(reason)


def check(into: Expander, holds: Value, reason: str) -> None:
    """Put a check where a pass has come to."""
    into.call_for_effect(must, holds, reason, effects=ORDERED)


def has_checks(block: Block) -> bool:
    """Whether there are checks in a block."""
    return any(isinstance(op, Call) and op.target is must for op in walk_ops(block))


def with_checks_returned(program: Program) -> Program:
    """The program with a last value more in the tuple that it returns, if it has checks: whether all of them hold."""
    return _Returned(program).program(program) if has_checks(program.body) else program


class _Returned(Expander):
    """`_holds` is what is known of the checks of a block where the pass has come to; None if there were none."""

    def __init__(self, program: Program):
        super().__init__(program)
        self._holds: Value | None = None

    def expand(self, op: Op) -> Op | None:
        if isinstance(op, Call) and op.target is must:
            self._also(op.args[0])
            return None
        if isinstance(op, Call) or not any(map(has_checks, op.blocks)):
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
        return self._holds or self.call(torch.full, (), True, dtype=torch.bool, to=TRUTH)

    def _also(self, holds: Value) -> None:
        self._holds = holds if self._holds is None else self.call(torch.logical_and, self._holds, holds, to=TRUTH)

    def _inside(self, block: Block, finish: Callable[[Any], Terminator], holds: Value | None = None) -> Block:
        """A block in which checks start from `holds`."""
        outside, self._holds = self._holds, holds
        made = self.block(block, finish)
        self._holds = outside
        return made

    def _branch(self, op: If) -> None:
        then, orelse = (self._inside(side, lambda end: Yield([*end.values, self._known()])) for side in op.blocks)
        holds = self.new(TRUTH)
        self.add(replace(op, then=then, orelse=orelse, results=[*op.results, holds]))
        self._also(holds)

    def _loop(self, op: While) -> None:
        """A loop that carries whether its checks hold; the test's are those of the trip that it is before."""
        param, holds = self.new(TRUTH), self.new(TRUTH)
        init = self.call(torch.full, (), True, dtype=torch.bool, to=TRUTH)
        tested = param

        def condition(end: Condition) -> Condition:
            nonlocal tested
            tested = self._known()
            go_on = self.call(torch.logical_and, end.go_on, tested, to=TRUTH)
            return Condition(go_on, [*end.exits, tested])

        test = self._inside(op.test, condition, param)
        body = self._inside(op.body, lambda end: Continue([*end.values, self._known()]), tested)
        params, inits, results = [*op.params, param], [*op.inits, init], [*op.results, holds]
        self.add(replace(op, params=params, inits=inits, test=test, body=body, results=results))
        self._also(holds)

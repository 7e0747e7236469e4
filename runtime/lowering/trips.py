"""Counts the trips of loops: the derivative of a loop has to have room for what each of them starts with."""

from __future__ import annotations

from dataclasses import replace

import torch

from d2s.runtime.ir.program import ORDERED, Condition, Continue, Op, Program, Value, While
from d2s.runtime.lowering.builder import Expander, as_tensor, number_type
from d2s.runtime.lowering.marks import with_marks_returned

_COUNT = number_type(int)


def with_trips_returned(program: Program) -> Program:
    """The program with a last value more in the tuple that it returns: the most trips that a loop had."""
    return with_marks_returned(_Counting(program).program(program), _had, 0, torch.maximum)


def _had(trips: torch.Tensor) -> None:
    """Marks how many trips a loop had."""


class _Counting(Expander):
    def expand(self, op: Op) -> Op | None:
        if not isinstance(op, While):
            return self.op(op)
        counter, trips = self.new(_COUNT), self.new(_COUNT)
        start = as_tensor(self, 0, torch.int64)
        counted = replace(
            op,
            params=[*op.params, counter],
            inits=[*op.inits, start],
            test=self.block(op.test, lambda end: Condition(end.go_on, [*end.exits, counter])),
            body=self.block(op.body, lambda end: Continue([*end.values, self._after(counter)])),
            results=[*op.results, trips],
        )
        self.add(counted)
        self.call_for_effect(_had, trips, effects=ORDERED)
        return None

    def _after(self, counter: Value) -> Value:
        return self.call(torch.add, counter, 1, to=_COUNT)

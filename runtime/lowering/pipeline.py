"""The chain of the legalising passes, and what comes out of it: functional tensor code with its ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.errors import RaisedAfterWrites
from d2s.runtime.ir.program import Program, Write
from d2s.runtime.lowering.arithmetic import DTYPES
from d2s.runtime.lowering.checks import Unlowered, has_checks, with_checks_returned
from d2s.runtime.lowering.ends import End, made_of
from d2s.runtime.lowering.forks import with_one_end
from d2s.runtime.lowering.indexing import with_index_ops
from d2s.runtime.lowering.numbers import with_tensor_numbers
from d2s.runtime.lowering.regions import with_writes_inside
from d2s.runtime.lowering.selections import with_selections
from d2s.runtime.passes.verify import verify

PASSES = (with_writes_inside, with_selections, with_checks_returned)

Answer = tuple[Any, Sequence[Write], tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A program of tensors alone that returns a tuple of them, and the ends that are made of the tuple."""

    program: Program
    ends: Sequence[End]
    is_checked: bool

    def tensors(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        """The inputs of the program, with tensors for the numbers among those of the program it was made of."""
        return [one if isinstance(one, torch.Tensor) else _tensor(one) for one in inputs]

    def answer(self, values: Sequence[Any]) -> Answer:
        """What a call gives: the answer, the writes that it leaves, and their values.

        Raises:
            Unlowered: a check failed: only the program itself can tell what happens.
            Exception: what the program raises at this end.
        """
        if self.is_checked and not values[-1]:
            raise Unlowered
        number, values = (int(values[0]), values[1:]) if len(self.ends) > 1 else (0, values)
        end = self.ends[number]
        answer, *written = made_of((end.tree, *(write.value for write in end.writes)), values)
        if not end.raises:
            return answer, end.writes, tuple(written)
        raise RaisedAfterWrites(answer, end.writes, tuple(written)) if end.writes else answer


def _tensor(number: Any) -> torch.Tensor:
    return torch.tensor(number, dtype=DTYPES[type(number)])


def lowered(program: Program) -> Lowered:
    """A verified program as functional tensor code.

    Raises:
        LoweringError: it can't be; the error says why.
    """
    made, ends = with_one_end(program)
    for one in (with_tensor_numbers, with_index_ops):
        made = verify(one(made))
    is_checked = has_checks(made.body)
    for one in PASSES:
        made = verify(one(made))
    return Lowered(made, ends, is_checked)

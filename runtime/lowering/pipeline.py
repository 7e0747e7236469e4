"""The chain of the legalising passes, and what comes out of it: functional tensor code with its ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import Call, Program, Write, walk_ops
from d2s.runtime.lowering.builder import is_number, number_tensor
from d2s.runtime.lowering.checks import Unlowered, has_checks, with_checks_returned
from d2s.runtime.lowering.choices import with_choices
from d2s.runtime.lowering.constants import with_constants_first
from d2s.runtime.lowering.ends import End, made_of
from d2s.runtime.lowering.forks import with_one_end
from d2s.runtime.lowering.identities import Identity, View, identified, with_identities
from d2s.runtime.lowering.indexing import with_index_ops
from d2s.runtime.lowering.numbers import with_tensor_numbers
from d2s.runtime.lowering.preconditions import with_preconditions
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.lowering.regions import with_writes_inside
from d2s.runtime.lowering.selections import with_selections
from d2s.runtime.passes.facts import has_gradients
from d2s.runtime.passes.verify import verify

Answer = tuple[Any, Sequence[Write], tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A program of tensors alone that writes to none of its inputs, and what is made of the tuple that it returns.

    That has, in order: what `ends` are made of, first the number of the end if there are several; what `identities`
    tells of these; for each of the inputs in `written` what it is to be; whether all checks hold, if `is_checked`.
    """

    program: Program
    ends: Sequence[End]
    identities: Sequence[Identity]
    written: Sequence[int]
    is_checked: bool

    def tensors(self, inputs: Sequence[Any]) -> list[torch.Tensor]:
        """The inputs of the program, with tensors for the numbers among those of the program it was made of."""
        return [one if isinstance(one, torch.Tensor) else number_tensor(one) for one in inputs]

    def is_view(self, place: int) -> bool:
        """Whether a returned value is left aside, for it is an input or a view of one."""
        return place < len(self.identities) and isinstance(self.identities[place], View)

    def write(self, values: Sequence[Any], inputs: Sequence[torch.Tensor]) -> None:
        """Have the inputs that the program writes be what it returned for them."""
        last = len(values) - self.is_checked
        for place, new in zip(self.written, values[last - len(self.written) : last], strict=True):
            inputs[place].copy_(new)

    def answer(self, values: Sequence[Any], inputs: Sequence[torch.Tensor]) -> Answer:
        """What a call gives: the answer, the writes that it leaves, and their values. Tensors are written here.

        Raises:
            Unlowered: the program raises, or a check failed: it has to run itself. Nothing was written.
        """
        first = len(self.ends) > 1
        end = self.ends[int(values[0]) if first else 0]
        if end.raises or (self.is_checked and not values[-1]):
            raise Unlowered
        self.write(values, inputs)
        found = [identified(one, value, values, inputs) for one, value in zip(self.identities, values, strict=False)]
        answer, *written = made_of((end.tree, *(write.value for write in end.writes)), found[first:])
        return answer, end.writes, tuple(written)


def lowered(program: Program, values_only: bool = False, differentiable: bool = False) -> Lowered:
    """A verified program as functional tensor code.

    With `values_only` it gives copies, without a history; `differentiable` code has the program's gradients.

    Raises:
        LoweringError: it can't be; the error says why.
    """
    for op in walk_ops(program.body):
        if isinstance(op, Call):
            _check_effects(op)
            if not values_only:
                _check_gradient(op)
    made, ends = with_one_end(program)
    for legal in (with_tensor_numbers, with_index_ops, with_preconditions, with_constants_first):
        made = verify(legal(made))
    made, known = (made, []) if values_only else with_identities(made)
    made, written = with_writes_inside(verify(made))
    made = verify(with_selections(verify(made)))
    is_checked = has_checks(made)
    made = verify(with_checks_returned(made)) if is_checked else made
    made = verify(with_choices(made, differentiable))
    return Lowered(made, ends, known, written, is_checked)


def _check_effects(call: Call) -> None:
    """Refuse effects in order: a graph has no place for them."""
    if call.effects.ordered:
        name = display_name(call.target)
        raise LoweringError(f"{name}, which does more than to compute, can't be lowered", call.location)


def _check_gradient(call: Call) -> None:
    """Refuse what a history begins with that no input has."""
    made = all(is_number(one.type) for one in call.operands)
    if (made and has_gradients(call)) or call.target is torch.Tensor.requires_grad_:
        name = display_name(call.target)
        raise LoweringError(f"{name}, at which a gradient begins, can't be lowered", call.location)

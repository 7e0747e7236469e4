"""The passes over a recorded program, in order: what every backend gets is what they leave."""

from __future__ import annotations

from functools import partial

from d2s.runtime.ir.program import Program
from d2s.runtime.passes.common import without_repetitions
from d2s.runtime.passes.dead import without_dead_code
from d2s.runtime.passes.invariant import with_invariants_outside
from d2s.runtime.passes.splitting import WORTH_CALLS, with_split_cells
from d2s.runtime.passes.verify import verify

PASSES = (
    partial(with_split_cells, worth=WORTH_CALLS),
    with_invariants_outside,
    without_repetitions,
    without_dead_code,
)


def optimised(program: Program) -> Program:
    """The program with less to do: the same answers, gradients, exceptions and effects.

    Raises:
        VerificationError: a pass broke the program.
    """
    for one in PASSES:
        program = verify(one(program))
    return program

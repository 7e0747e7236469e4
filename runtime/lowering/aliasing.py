"""Refuses writes that would be seen elsewhere: branches and loops give copies in lowered code.

z = x if c else y        -- the memory of x or of y; in lowered code memory of its own
z += 1
return x                 -- refused: x is used after a write to what it may share memory with
"""

from __future__ import annotations

from d2s.runtime.ir.program import Program
from d2s.runtime.lowering.order import Order
from d2s.runtime.lowering.origins import Origins
from d2s.runtime.lowering.refusing import LoweringError


def check_writes(program: Program, origins: Origins) -> None:
    """Check that no value is used after a write to memory that it no longer shares when it is lowered.

    Raises:
        LoweringError: one is.
    """
    order = Order(program)
    for call, place in order.places.items():
        for written in call.effects.writes:
            root = origins.root(written)
            others = [one for one in origins.sharing(written) if origins.root(one) != root]
            if any(order.is_used_after(one, place) for one in others):
                raise LoweringError("a write to what a branch or a loop decides can't be lowered", call.location)

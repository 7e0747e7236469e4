"""The error for what can't be lowered, which names the op, the line and why."""

from __future__ import annotations

from d2s.runtime.errors import D2SError, Location
from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import Call, If, Op, While


class LoweringError(D2SError):
    """A program can't be lowered to functional torch code; `reason` says why, `location` where (None if unknown)."""

    def __init__(self, reason: str, location: Location | None = None):
        super().__init__(f"{location}: {reason}" if location else reason)
        self.reason = reason
        self.location = location


def refusal(op: Op, why: str) -> LoweringError:
    """The error for an op."""
    what = f"a call of {display_name(op.target)}" if isinstance(op, Call) else _KINDS[type(op)]
    return LoweringError(f"{what} can't be lowered: {why}", op.location)


_KINDS = {If: "a branch", While: "a loop"}

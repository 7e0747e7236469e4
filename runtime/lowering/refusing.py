"""The error for what can't be lowered, which names the line and why."""

from __future__ import annotations

from d2s.runtime.errors import D2SError, Location


class LoweringError(D2SError):
    """A program can't be lowered to functional torch code; `reason` says why, `location` where (None if unknown)."""

    def __init__(self, reason: str, location: Location | None = None):
        super().__init__(f"{location}: {reason}" if location else reason)
        self.reason = reason
        self.location = location

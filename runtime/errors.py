"""The errors of recording, verifying and running programs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Location:
    """A line of the user's own source."""

    filename: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"


class D2SError(Exception):
    """The base class of every error that d2s raises on its own account."""


class CaptureError(D2SError):
    """Something in a function can't be part of a static program.

    `reason` says what, `remedy` what to write instead, `location` where (None when unknown).
    """

    def __init__(self, reason: str, remedy: str = "", location: Location | None = None):
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.location = location


class VerificationError(D2SError):
    """A program breaks a rule of its own grammar: a bug in the recorder or in a pass."""

"""The errors of recording, verifying and running programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Location:
    """A line of the user's own source."""

    filename: str
    line: int
    function: str = ""

    def __str__(self) -> str:
        return f"{self.filename}:{self.line}"


def mark_as_users(error: BaseException, call: Any) -> None:
    """Note that an exception came out of a call of torch's, which the program is to make."""
    error.__d2s_call__ = call  # type: ignore[attr-defined]


def failing_call(error: BaseException) -> Any:
    """The call of torch's that raised an exception, None for any other."""
    return getattr(error, "__d2s_call__", None)


RUNTIME_FOLDER = __file__.removesuffix("errors.py")
# The folders of the code whose exceptions are bugs of ours; the packages above this one add theirs.
OWN_FOLDERS = [RUNTIME_FOLDER]


class D2SError(Exception):
    """The base class of every error that d2s raises on its own account."""


class Unwinding(BaseException):
    """What unwinds the function that is being recorded, and is none of its own exceptions.

    Not an `Exception`, and let through by every `except`, `finally` and `with` of rewritten code.
    """


class CaptureError(Unwinding):
    """Something in a function can't be part of a static program.

    Raised while recording. `code` is one of those in docs/errors.md; `reason` says what, `remedy` what to write
    instead, `location` where (None when unknown).
    """

    def __init__(self, code: str, reason: str, remedy: str = "", location: Location | None = None):
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.remedy = remedy
        self.location = location


class CannotConvertError(D2SError):
    """A function has no source that could be rewritten."""


class VerificationError(D2SError):
    """A program breaks a rule of its own grammar: a bug in the recorder or in a pass."""


class LoadError(D2SError):
    """A file can't be loaded: it is damaged, or not what it should be; the message says where."""


class RaisedAfterWrites(BaseException):
    """How a program hands over an exception of the user's together with what it had written before.

    Not an `Exception`, so that nothing but the caller of the program takes it for one.
    """

    def __init__(self, exception: BaseException, writes: Sequence[Any], values: tuple[Any, ...]):
        super().__init__(exception)
        self.exception = exception
        self.writes = writes
        self.values = values

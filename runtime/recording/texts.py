"""Texts that are known only when the program runs."""

from __future__ import annotations

import operator
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Value


class RunTimeText:
    """A str that is made when the program runs; it answers `str` when asked for its class."""

    __class__ = property(lambda self: str)

    def __init__(self, recorder: Any, value: Value):
        self.recorder = recorder
        self.value = value

    def __add__(self, other: Any) -> Any:
        return self.recorder.text_call(operator.add, (self, other)) if isinstance(other, str) else NotImplemented

    def __radd__(self, other: Any) -> Any:
        return self.recorder.text_call(operator.add, (other, self)) if isinstance(other, str) else NotImplemented

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, str):
            return False
        return self.recorder.number_call(operator.eq, (self, other), bool)

    def __ne__(self, other: object) -> Any:
        if not isinstance(other, str):
            return True
        return self.recorder.number_call(operator.ne, (self, other), bool)

    def __repr__(self) -> str:
        return f"<str {self.value}>"

    def __hash__(self) -> int:
        raise self._needed()

    def __str__(self) -> str:
        raise self._needed()

    def __format__(self, specification: str) -> str:
        raise self._needed()

    def _needed(self) -> CaptureError:
        return CaptureError(
            "D2S102",
            "a text that is made of values of tensors is used where it has to be known before the run",
            "only print it, return it, or raise it in an exception",
        )


def is_run_time_text(thing: object) -> bool:
    """Whether a text is known only when the program runs."""
    return type(thing) is RunTimeText

"""Texts that are known only when the program runs."""

from __future__ import annotations

import operator
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Value
from d2s.runtime.recording.choices import ChoiceUsed
from d2s.runtime.recording.locations import Site
from d2s.runtime.recording.staged import RunTimeValue

# The methods of a text by the class of what they give; the others give lists and bytes.
_TEXTS = """capitalize casefold center expandtabs format join ljust lower lstrip removeprefix removesuffix replace
rjust rstrip strip swapcase title translate upper zfill"""
_TRUTHS = """endswith isalnum isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace
istitle isupper startswith"""
_NUMBERS = "count find index rfind rindex"
TEXT_METHODS: dict[str, type] = {
    name: kind for names, kind in ((_TEXTS, str), (_TRUTHS, bool), (_NUMBERS, int)) for name in names.split()
}


class RunTimeText(RunTimeValue):
    """A str that is made when the program runs; it answers `str` when asked for its class.

    `site` is the place of the code that chooses one of several known ones, if that is what it is: where the text
    itself is needed, the recording forks there.
    """

    __class__ = property(lambda self: str)

    def __init__(self, recorder: Any, value: Value, site: Site | None = None):
        self.recorder = recorder
        self.value = value
        self.site = site

    def __getattr__(self, name: str) -> Any:
        method = getattr(str, name)
        kind = TEXT_METHODS.get(name)
        if kind is None:
            raise self.needed()
        return lambda *args, **kwargs: self.recorder.plain_call(method, (self, *args), kind, kwargs)

    def __getitem__(self, position: Any) -> Any:
        return self.recorder.text_call(operator.getitem, (self, position))

    def __contains__(self, part: Any) -> bool:
        return bool(self.recorder.number_call(operator.contains, (self, part), bool))

    def __bool__(self) -> bool:
        return bool(self != "")

    def __lt__(self, other: Any) -> Any:
        return self._compared(operator.lt, other)

    def __le__(self, other: Any) -> Any:
        return self._compared(operator.le, other)

    def __gt__(self, other: Any) -> Any:
        return self._compared(operator.gt, other)

    def __ge__(self, other: Any) -> Any:
        return self._compared(operator.ge, other)

    def _compared(self, comparison: Any, other: Any) -> Any:
        if not isinstance(other, str):
            return NotImplemented
        return self.recorder.number_call(comparison, (self, other), bool)

    def __mul__(self, times: Any) -> Any:
        return self.recorder.text_call(operator.mul, (self, times))

    __rmul__ = __mul__

    def __mod__(self, values: Any) -> Any:
        return self.recorder.text_call(operator.mod, (self, values))

    def __iter__(self) -> Any:
        raise self.needed()

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
        if self.recorder.is_at_work():
            raise self.needed()
        return f"<str {self.value}>"

    def __hash__(self) -> int:
        raise self.needed()

    def __str__(self) -> str:
        raise self.needed()

    def __format__(self, specification: str) -> str:
        raise self.needed()

    def needed(self) -> BaseException:
        """What to raise where the text has to be known."""
        if self.site is not None:
            return self.recorder.pending(ChoiceUsed(self.recorder, self.site))
        return CaptureError(
            "D2S102",
            "a text that is made of values of tensors is used where it has to be known before the run",
            "only print it, return it, or raise it in an exception",
        )


def is_run_time_text(thing: object) -> bool:
    """Whether a text is known only when the program runs."""
    return type(thing) is RunTimeText

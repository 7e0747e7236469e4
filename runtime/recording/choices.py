"""One of several things, and only the run knows which: a tensor or a bool, one of two members of an enum.

Of such a choice the truth, equality and identity can be asked, and it can be handed on. Where more is done with it,
the function is recorded again, and forks where the choice is made.
"""

from __future__ import annotations

import operator
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from d2s.runtime.ir.program import Value
from d2s.runtime.recording.locations import Site, asking_code, is_own
from d2s.runtime.recording.regions import RecordAgain
from d2s.runtime.recording.staged import RunTimeValue

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


class ChoiceUsed(RecordAgain):
    """More than its truth is asked of a choice."""

    def __init__(self, recorder: Recorder, site: Site):
        self.settle = lambda: recorder.no_choices.add(site)


class RunTimeChoice(RunTimeValue):
    """One of several things; `kinds` are their classes, `site` is the place of the code that chooses."""

    __slots__ = ("kinds", "recorder", "site", "value")

    def __init__(self, recorder: Recorder, value: Value, kinds: Collection[type], site: Site):
        self.recorder = recorder
        self.value = value
        self.kinds = kinds
        self.site = site

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        if is_own(asking_code().co_filename):
            return RunTimeChoice  # the runtime's own tests of types are not the user's
        if len(self.kinds) > 1:
            raise self._used()
        return next(iter(self.kinds))

    def __bool__(self) -> bool:
        return bool(self.recorder.decide(self))

    def __eq__(self, other: object) -> Any:
        return self._compared(operator.eq, other)

    def __ne__(self, other: object) -> Any:
        return self._compared(operator.ne, other)

    def _compared(self, comparison: Any, other: object) -> Any:
        if len(self.kinds) > 1:
            raise self._used()
        return self.recorder.number_call(comparison, (self, other), bool)

    def _used(self) -> BaseException:
        return self.recorder.pending(ChoiceUsed(self.recorder, self.site))

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise self._used()

    __hash__ = __getattr__ = __call__ = __iter__ = __len__ = __getitem__ = __contains__ = __index__ = _refuse
    __repr__ = __str__ = __format__ = __int__ = __float__ = __neg__ = __abs__ = __invert__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __add__ = __sub__ = __mul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __matmul__ = _refuse
    __radd__ = __rsub__ = __rmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __rmatmul__ = _refuse
    __and__ = __or__ = __xor__ = __rand__ = __ror__ = __rxor__ = _refuse


def is_run_time_choice(thing: object) -> bool:
    """Whether this is one of several things, and only the run knows which."""
    return type(thing) is RunTimeChoice

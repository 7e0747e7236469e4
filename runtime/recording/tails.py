"""Which functions that call themselves last have to be loops, and which of those loops are being recorded."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from d2s.runtime.recording.regions import RecordAgain

# Asks the loop of a function for another trip, with these arguments.
Again = Callable[[tuple[Any, ...], dict[str, Any]], None]


class TailFound(RecordAgain):
    """A function calls itself last, until the value of a tensor stops it."""

    def __init__(self, tails: Tails, code: types.CodeType):
        self.settle = lambda: tails.codes.add(code)


class Tails:
    """What is known of such functions in one recording: `codes` are those of the ones that have to be loops."""

    def __init__(self) -> None:
        self.codes: set[types.CodeType] = set()
        self.forget_run()

    def forget_run(self) -> None:
        """Begin a new run of the function."""
        self._calls: list[types.CodeType] = []
        self._loops: list[tuple[Any, Again]] = []

    @contextmanager
    def calling(self, code: types.CodeType) -> Iterator[None]:
        """Inside a call that may be the last thing that a function does."""
        self._calls.append(code)
        try:
            yield
        finally:
            self._calls.pop()

    def check(self) -> None:
        """Go on only if the recursion that is too deep here is of no such call.

        Raises:
            TailFound: it is.
        """
        if self._calls and self._calls[-1] not in self.codes:
            raise TailFound(self, self._calls[-1])

    @contextmanager
    def looping(self, function: Any, again: Again) -> Iterator[None]:
        """Inside a trip of the loop of a function."""
        self._loops.append((function, again))
        try:
            yield
        finally:
            self._loops.pop()

    def loop_of(self, function: Any) -> Again | None:
        """What asks for another trip, inside one of a function's loop."""
        if self._loops and self._loops[-1][0] is function:
            return self._loops[-1][1]
        return None

"""Loops of the program that an exception leaves which the code around them may catch.

The program can't raise in its loop and catch that outside: the trip notes what it raises and is the last, and the
code after the loop raises it.
"""

from __future__ import annotations

import itertools
import types
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from d2s.runtime.operators.decisions import and_test, truth
from d2s.runtime.operators.staging import Thunk
from d2s.runtime.recording.exceptions import attributes_of, refuse_own, remake_exception
from d2s.runtime.recording.loops import record_loop
from d2s.runtime.recording.places import CellLocation, Location
from d2s.runtime.recording.recorder import Recorder
from d2s.runtime.recording.specs import UNSET


def record_left_loop(recorder: Recorder, key: Hashable, test: Thunk, body: Thunk, shared: list[Location]) -> None:
    """`record_loop`, for a loop that may raise where a handler is around it.

    Raises:
        Exception: what a trip raises, after the loop, on the path where it does.
    """
    left = _Left(recorder, test, body)
    record_loop(recorder, key, left.test, left.body, [*shared, CellLocation(left.number)])
    left.leave()


@dataclass(frozen=True)
class _Kind:
    """What the exceptions have in common that one place of the program can hold: all but their parts."""

    cls: type[BaseException]
    arguments: int
    names: tuple[str, ...]
    cause: _Kind | None

    def make(self, parts: Iterator[Any]) -> BaseException:
        """An exception of this kind, of parts that `_parts_of` gave."""
        args = tuple(itertools.islice(parts, self.arguments))
        made = remake_exception(self.cls, args, {name: next(parts) for name in self.names})
        if self.cause is not None:
            made.__cause__ = self.cause.make(parts)
        return made


def _kind_of(error: BaseException) -> _Kind:
    cause = None if error.__cause__ is None else _kind_of(error.__cause__)
    return _Kind(type(error), len(error.args), tuple(attributes_of(error)), cause)


def _parts_of(error: BaseException) -> tuple[Any, ...]:
    cause = () if error.__cause__ is None else _parts_of(error.__cause__)
    return (*error.args, *attributes_of(error).values(), *cause)


class _Left:
    """A loop and what its trips raise: `number` is 0, or that of the kind of exception that the last trip raised."""

    def __init__(self, recorder: Recorder, test: Thunk, body: Thunk):
        self._recorder = recorder
        self._test = test
        self._body = body
        self.number = types.CellType(0)
        # For each kind its number, and where the parts of the exception are.
        self._kinds: dict[_Kind, tuple[int, types.CellType]] = {}

    def test(self) -> Any:
        """Whether there is another trip."""
        return and_test(truth(self.number.cell_contents == 0), self._test)

    def body(self) -> None:
        """A trip."""
        try:
            self._body()
        except Exception as error:
            refuse_own(error)
            number, cell = self._kinds.setdefault(_kind_of(error), (len(self._kinds) + 1, types.CellType(UNSET)))
            self._recorder.journal.write(CellLocation(cell), _parts_of(error))
            self._recorder.journal.write(CellLocation(self.number), number)

    def leave(self) -> None:
        """Raise what the last trip has raised, if it has."""
        for kind, (number, cell) in self._kinds.items():
            if bool(self.number.cell_contents == number):
                raise kind.make(iter(cell.cell_contents))

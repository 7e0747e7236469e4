"""The journal of writes: which locations a recording has changed, and what they held before.

It undoes one side of a branch before the other is recorded, finds the state that a branch or a loop changed,
and in the end leaves the user's objects as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from d2s.runtime.recording.places import CellLocation, GlobalLocation, Location


@dataclass(frozen=True)
class Entry:
    """A location and what it held before its first write after some mark."""

    location: Location
    before: Any


class Journal:
    """The entries in the order of the writes. A mark is a position in it."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._noted: Counter[Location] = Counter()
        self._owners: Counter[int] = Counter()  # by id
        self._noted_ever: dict[int, Location] = {}  # one for each owner

    def mark(self) -> int:
        """The position now."""
        return len(self._entries)

    def note(self, location: Location) -> None:
        """Remember what a location holds: call this before it may be written."""
        self._entries.append(Entry(location, location.read()))
        self._noted[location] += 1
        self._owners[id(location.owner)] += 1
        self._noted_ever.setdefault(id(location.owner), location)

    def owners(self) -> list[Any]:
        """What places were noted in, also of what was undone; no variables."""
        found = self._noted_ever.values()
        return [place.owner for place in found if not isinstance(place, GlobalLocation | CellLocation)]

    def note_all(self, locations: Iterable[Location]) -> None:
        """`note` each."""
        for location in locations:
            self.note(location)

    def has(self, location: Location) -> bool:
        """Whether a location was noted."""
        return self._noted[location] > 0

    def knows(self, owner: Any) -> bool:
        """Whether any place in an object was noted."""
        return self._owners[id(owner)] > 0

    def first(self, location: Location) -> Any:
        """What a location held before it was first noted, or holds now."""
        if not self.has(location):
            return location.read()
        return next(entry.before for entry in self._entries if entry.location == location)

    def write(self, location: Location, value: Any) -> None:
        """Write, with a note."""
        self.note(location)
        location.write(value)

    def since(self, mark: int) -> dict[Location, Any]:
        """The locations noted since a mark, in order, each with what it held at the mark."""
        found: dict[Location, Any] = {}
        for entry in self._entries[mark:]:
            found.setdefault(entry.location, entry.before)
        return found

    def undo(self, mark: int) -> None:
        """Restore everything to what it was at a mark, and forget the entries since.

        A location that can't be written does not keep the others from it: its error is raised in the end.
        """
        failures: list[Exception] = []
        while len(self._entries) > mark:
            entry = self._entries.pop()
            self._noted[entry.location] -= 1
            self._owners[id(entry.location.owner)] -= 1
            try:
                entry.location.write(entry.before)
            except Exception as error:  # an object of a library may raise anything
                failures.append(error)
        if failures:
            raise failures[0]

"""The journal of writes: which locations a recording has changed, and what they held before.

It undoes one side of a branch before the other is recorded, finds the state that a branch or a loop changed,
and in the end leaves the user's objects as they were.
"""

from __future__ import annotations

import inspect
import types
from collections import Counter, deque
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch


class Missing:
    """What a location holds that holds nothing: an unbound variable, an attribute that is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


@dataclass(frozen=True, eq=False)
class Location:
    """A place that can be written; equal when it is the same place. Subclasses read and write it."""

    owner: Any

    def key(self) -> tuple[Any, ...]:
        """What tells this place from others."""
        return type(self), id(self.owner)

    def read(self) -> Any:
        """What is there now; MISSING if nothing is."""
        raise NotImplementedError

    def write(self, value: Any) -> None:
        """Put a value there; MISSING removes what is there."""
        raise NotImplementedError

    def is_plain(self) -> bool:
        """Whether a write does nothing but put a value there."""
        return True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Location) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())


class CellLocation(Location):
    """A variable of a function, in its closure cell."""

    owner: types.CellType

    def read(self) -> Any:
        try:
            return self.owner.cell_contents
        except ValueError:
            return MISSING

    def write(self, value: Any) -> None:
        if value is not MISSING:
            self.owner.cell_contents = value
        elif self.read() is not MISSING:
            del self.owner.cell_contents


@dataclass(frozen=True, eq=False)
class NamedLocation(Location):
    """A place with a name in its owner."""

    name: str

    def key(self) -> tuple[Any, ...]:
        return type(self), id(self.owner), self.name


class GlobalLocation(NamedLocation):
    """A global variable; the owner is the module's namespace."""

    def read(self) -> Any:
        return self.owner.get(self.name, MISSING)

    def write(self, value: Any) -> None:
        if value is not MISSING:
            self.owner[self.name] = value
        else:
            self.owner.pop(self.name, None)


class AttributeLocation(NamedLocation):
    """An attribute of an object or a class."""

    def read(self) -> Any:
        return MISSING if self._is_inherited() else getattr(self.owner, self.name, MISSING)

    def is_plain(self) -> bool:
        usual = object.__setattr__, torch.nn.Module.__setattr__, type.__setattr__
        return type(self.owner).__setattr__ in usual and self.name in getattr(self.owner, "__dict__", {})

    def _is_inherited(self) -> bool:
        """Whether the attribute is one of the class, which a write would hide and not change."""
        if self.name in getattr(self.owner, "__dict__", {self.name: None}):
            return False
        of_class = inspect.getattr_static(type(self.owner), self.name, MISSING)
        return of_class is not MISSING and not hasattr(type(of_class), "__set__")

    def write(self, value: Any) -> None:
        if value is not MISSING:
            setattr(self.owner, self.name, value)
        elif self.read() is not MISSING:
            delattr(self.owner, self.name)


class ContextLocation(Location):
    """What a context variable holds, or its default."""

    owner: ContextVar[Any]

    def read(self) -> Any:
        return self.owner.get()

    def write(self, value: Any) -> None:
        self.owner.set(value)


CONTAINERS = (list, dict, set, deque)


class ContentsLocation(Location):
    """What a list, dict, set or deque contains, as a copy of it that is of the plain type."""

    def read(self) -> Any:
        for kind in CONTAINERS:
            if isinstance(self.owner, kind):
                return kind(self.owner)
        raise TypeError(f"a {type(self.owner).__name__} is no container that can be restored")

    def write(self, value: Any) -> None:
        if isinstance(self.owner, list):
            list.__setitem__(self.owner, slice(None), value)
            return
        self.owner.clear()
        if isinstance(self.owner, dict):
            dict.update(self.owner, value)
        elif isinstance(self.owner, set):
            self.owner.update(value)
        else:
            self.owner.extend(value)


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

    def mark(self) -> int:
        """The position now."""
        return len(self._entries)

    def note(self, location: Location) -> None:
        """Remember what a location holds: call this before it may be written."""
        self._entries.append(Entry(location, location.read()))
        self._noted[location] += 1

    def note_all(self, locations: Iterable[Location]) -> None:
        """`note` each."""
        for location in locations:
            self.note(location)

    def has(self, location: Location) -> bool:
        """Whether a location was noted."""
        return self._noted[location] > 0

    def holds_first(self, location: Location) -> bool:
        """Whether a location holds what it did before it was first noted, or was not noted."""
        entries = (entry for entry in self._entries if entry.location == location)
        first = next(entries, None)
        return first is None or first.before is location.read()

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
        """Restore everything to what it was at a mark, and forget the entries since."""
        while len(self._entries) > mark:
            entry = self._entries.pop()
            self._noted[entry.location] -= 1
            entry.location.write(entry.before)

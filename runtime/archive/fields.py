"""Reads the fields of an object in a file, with an error for one that is missing or of another type."""

from __future__ import annotations

from typing import Any, TypeVar

from d2s.runtime.errors import LoadError

T = TypeVar("T")


class Fields:
    """An object of JSON; `what` it is to be is for the messages."""

    def __init__(self, data: Any, what: str):
        """Raises LoadError if it is no object."""
        if type(data) is not dict:
            raise LoadError(f"{what} is a {type(data).__name__}, not an object")
        self._data: dict[str, Any] = data
        self._what = what

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def any(self, name: str) -> Any:
        """A field of any type."""
        if name not in self._data:
            raise LoadError(f"{self._what} has no {name!r}")
        return self._data[name]

    def get(self, name: str, kind: type[T]) -> T:
        """A field of this type."""
        found = self.any(name)
        if type(found) is not kind:
            raise LoadError(f"the {name!r} of {self._what} is a {type(found).__name__}, not a {kind.__name__}")
        return found

    def optional(self, name: str, kind: type[T]) -> T | None:
        """A field of this type; None if it is null, or not there."""
        return None if self._data.get(name) is None else self.get(name, kind)

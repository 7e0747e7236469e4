"""Where a program finds what it reads and writes: paths from a call's arguments into the user's objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Argument:
    """A parameter of the captured function, by name."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Constant:
    """An object that the program keeps: a global namespace, a closure cell, a class."""

    value: Any
    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Attribute:
    """`base.name`."""

    base: Source
    name: str

    def __str__(self) -> str:
        return f"{self.base}.{self.name}"


@dataclass(frozen=True)
class Item:
    """`base[key]`; `key` is an int or a str or another printable constant."""

    base: Source
    key: Any

    def __str__(self) -> str:
        return f"{self.base}[{self.key!r}]"


Source = Argument | Constant | Attribute | Item


def root_of(source: Source) -> Argument | Constant:
    """The argument or constant that a path starts at."""
    while isinstance(source, Attribute | Item):
        source = source.base
    return source

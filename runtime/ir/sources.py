"""Where a program finds what it reads and writes: paths from a call's arguments into the user's objects."""

from __future__ import annotations

import types
from collections.abc import Mapping
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
    """An object that the program keeps."""

    value: Any
    name: str

    def __str__(self) -> str:
        return self.name


class Global:
    """A global variable of the module with this namespace."""

    def __init__(self, namespace: dict[str, Any], name: str):
        self.namespace = namespace
        self.name = name

    def _key(self) -> tuple[int, str]:
        return id(self.namespace), self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Global) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Cell:
    """A variable of an enclosing function, in its closure cell."""

    cell: types.CellType
    name: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cell) and self.cell is other.cell

    def __hash__(self) -> int:
        return id(self.cell)

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
class Member:
    """`base.name` where `base` is a module of torch that keeps it in one of its tables, such as `_parameters`."""

    base: Source
    table: str
    name: str

    def __str__(self) -> str:
        return f"{self.base}.{self.name}"


@dataclass(frozen=True)
class Item:
    """`base[key]`."""

    base: Source
    key: Any

    def __str__(self) -> str:
        return f"{self.base}[{self.key!r}]"


Source = Argument | Constant | Global | Cell | Attribute | Member | Item


def read(source: Source, arguments: Mapping[str, Any]) -> Any:
    """The object that is found there now.

    Raises:
        AttributeError, LookupError, ValueError: there is none any more.
    """
    match source:
        case Argument(name):
            return arguments[name]
        case Constant(value):
            return value
        case Global():
            return source.namespace[source.name]
        case Cell(cell):
            return cell.cell_contents
        case Attribute(base, name) | Member(base, _, name):
            return getattr(read(base, arguments), name)
        case Item(base, key):
            return read(base, arguments)[key]


def free_variables(function: Any) -> dict[str, Source]:
    """The sources of the variables from outside that a function's own code names, those that exist."""
    code = function.__code__
    namespace = function.__globals__
    found: dict[str, Source] = {name: Global(namespace, name) for name in code.co_names if name in namespace}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        if not is_empty(cell):
            found[name] = Cell(cell, name)
    return found


def is_empty(cell: types.CellType) -> bool:
    """Whether a variable of an enclosing function is not bound."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False

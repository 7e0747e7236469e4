"""Where a program finds what it reads and writes: paths from a call's arguments into the user's objects."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

_BY_VALUE = (bool, int, float, complex, str, bytes, tuple, frozenset, type(None))


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
class ContextValue:
    """What a context variable holds, or its default."""

    variable: ContextVar[Any]

    def __str__(self) -> str:
        return self.variable.name


@dataclass(frozen=True)
class Attribute:
    """`base.name`."""

    base: Source
    name: str

    def __str__(self) -> str:
        return f"{self.base}.{self.name}"


@dataclass(frozen=True)
class Member:
    """`base.name` where `base` is a module of torch: in one of its tables, such as `_parameters`, or its own dict.

    `table` is empty for what is in the module's own dict.
    """

    base: Source
    table: str
    name: str

    def of(self, module: Any) -> Any:
        """What is there, if this is the object at `base`."""
        own = attributes_of(module)
        return (own[self.table] if self.table else own)[self.name]

    def __str__(self) -> str:
        return f"{self.base}.{self.name}"


@dataclass(frozen=True, eq=False)
class Item:
    """`base[key]`."""

    base: Source
    key: Any

    def __eq__(self, other: object) -> bool:
        # Only of what tells itself apart by its value: tensors, too, are keys.
        if not isinstance(other, Item) or self.base != other.base:
            return False
        one, two = self.key, other.key
        return one is two or (isinstance(one, _BY_VALUE) and type(one) is type(two) and one == two)

    def __hash__(self) -> int:
        return hash((self.base, self.key))

    def __str__(self) -> str:
        return f"{self.base}[{self.key!r}]"


@dataclass(frozen=True)
class Derived:
    """What a function gives for `base`: what it refers to, or holds where no name and no key leads to."""

    base: Source
    function: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"{getattr(self.function, '__name__', self.function)}({self.base})"


@dataclass(frozen=True)
class ClassEntry:
    """What a class, or the first of its bases that has it, holds by a name: no descriptor is called."""

    owner: type
    name: str

    def __str__(self) -> str:
        return f"{self.owner.__qualname__}.{self.name}"


@dataclass(frozen=True)
class Setting:
    """What a function tells of the surroundings, such as a setting of torch."""

    function: Callable[..., Any]
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{getattr(self.function, '__name__', self.function)}({', '.join(map(repr, self.args))})"


Source = (
    Argument | Constant | Global | Cell | ContextValue | Attribute | Member | Item | Derived | ClassEntry | Setting
)


# What reading raises where there is no such object any more.
LOST = (AttributeError, LookupError, TypeError, ValueError)


def read(source: Source, arguments: Mapping[str, Any]) -> Any:
    """The object that is found there now.

    Raises:
        LOST: there is none any more.
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
        case ContextValue(variable):
            return variable.get()
        case Attribute(base, name):
            return getattr(read(base, arguments), name)
        case Member(base):
            return source.of(read(base, arguments))
        case Item(base, key):
            return read(base, arguments)[key]
        case Derived(base, function):
            return function(read(base, arguments))
        case ClassEntry(owner, name):
            return class_entry(owner, name)
        case Setting(function, args):
            return function(*args)


def prefixes(source: Source) -> list[Source]:
    """The paths that lead to the object at a path, the shortest first, and the path itself."""
    base = getattr(source, "base", None)
    return [source] if base is None else [*prefixes(base), source]


def attributes_of(thing: Any) -> dict[str, Any]:
    """The own dict of an object, seen by no `__getattribute__`; empty for one that has none."""
    try:
        found: dict[str, Any] = object.__getattribute__(thing, "__dict__")
    except AttributeError:
        return {}
    return found


def owner_of(cls: type, name: str) -> Any:
    """The first of a class and its bases that holds something by a name; None if none does."""
    for base in cls.__mro__:
        if name in base.__dict__:
            return base
    return None


def class_entry(cls: type, name: str, *default: Any) -> Any:
    """What is found by a name in a class or its bases, as it is there.

    Raises:
        LookupError: nothing, and there is no `default`.
    """
    owner = owner_of(cls, name)
    if owner is not None:
        return owner.__dict__[name]
    if default:
        return default[0]
    raise LookupError(name)


# Names of packages whose Python modules and classes are taken to stay as they are.
_UNCHANGING = frozenset(sys.stdlib_module_names - {"__main__"} | {"torch", "numpy", "d2s"})


def is_users_name(name: str) -> bool:
    """Whether a module of this name is the user's, or of a package that is not among those left alone.

    Torch's distributions ask for the values of tensors, and are converted as the user's code is.
    """
    if name.startswith("_cython_"):  # what makes Cython's functions and classes
        return False
    return name.partition(".")[0] not in _UNCHANGING or name.startswith("torch.distributions")


def is_users_class(cls: type) -> bool:
    """Whether a class is of such a module; a class of Cython's may hold a descriptor where others hold the name."""
    return isinstance(cls.__module__, str) and is_users_name(cls.__module__)


def original_of(thing: Any) -> Any:
    """What a static function, or such, was made of; anything else as it is."""
    return thing if class_entry(type(thing), "__d2s_original__", None) is None else thing.__d2s_original__


def users_metaclass(cls: type) -> type | None:
    """The class of a class, if it is the user's own."""
    made_by = type(cls)
    return made_by if is_users_class(made_by) else None


def is_empty(cell: types.CellType) -> bool:
    """Whether a variable of an enclosing function is not bound."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False

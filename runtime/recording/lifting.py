"""Finds where an object of the user's is reached from, so that a program can read it again at each call."""

from __future__ import annotations

import enum
import inspect
import io
import logging
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.machinery import BuiltinImporter, ExtensionFileLoader
from typing import Any, Protocol

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Role
from d2s.runtime.ir.sources import (
    Attribute,
    Cell,
    ClassEntry,
    Derived,
    Global,
    Member,
    Source,
    attributes_of,
    class_entry,
    is_users_class,
    owner_of,
    users_metaclass,
)
from d2s.runtime.recording.dynamic import location_of
from d2s.runtime.recording.journal import Journal
from d2s.runtime.recording.kinds import is_value, kind_of
from d2s.runtime.recording.locations import is_rewritten, is_users_function, user_location
from d2s.runtime.recording.places import MISSING, TABLES, AttributeLocation, GlobalLocation, Location, Slot
from d2s.runtime.recording.structures import all_slots_of, can_change
from d2s.runtime.recording.variables import cells_of, globals_of, names_in
from d2s.runtime.torch_internals.calls import entries_of

# What a program takes as it is.
LEAVES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
# Their attributes are noted otherwise, or are no state of the user's.
_SEEN_OTHERWISE = (torch.Tensor, type, types.ModuleType)
# They remember what they were asked, which nobody reads.
LOGGERS = (logging.Logger, logging.Handler)
# What holds more than is the user's, or nothing that a program reads.
_NOT_LOOKED_INTO = (torch.Tensor, types.ModuleType, torch.jit.ScriptModule, *LOGGERS)


class Follower(Protocol):
    """What is told of all that is found."""

    def found_root(self, source: Source) -> None:
        """A place that a search begins at."""

    def found(self, thing: Any) -> None:
        """An object, or a cell."""


class Reachable:
    """The user's objects that can be reached from some roots, each with the first path found to it.

    Paths are found breadth first, so that the shortest one names an object. Cells count as objects.
    """

    def __init__(self) -> None:
        self.journal = Journal()  # of what the recording has written so far
        self._sources: dict[int, Source] = {}
        # The dicts that hold attributes, of as many objects as were searched for them.
        self._tables: dict[int, Source] = {}
        self._searched = 0
        self._roots: dict[Source, None] = {}
        # What the code that was met can look up, by the names in it.
        self.names: set[str] = set()
        self._keep: list[Any] = []
        self._iterators: dict[Source | None, Any] = {}  # by the attribute that they are read by
        self._classes: dict[type, None] = {}
        self._listeners: list[Callable[[type], None]] = []
        self._followers: list[Follower] = []

    @contextmanager
    def telling_of_classes(self, tell: Callable[[type], None]) -> Iterator[None]:
        """Call `tell` with every class of the objects found so far, and meanwhile."""
        self._listeners.append(tell)
        for cls in list(self._classes):
            tell(cls)
        try:
            yield
        finally:
            self._listeners.remove(tell)

    @contextmanager
    def followed_by(self, follower: Follower) -> Iterator[None]:
        """Tell of every root and every object found so far, and meanwhile."""
        self._followers.append(follower)
        for source in self._roots:
            follower.found_root(source)
        for thing in self._keep:
            follower.found(thing)
        try:
            yield
        finally:
            self._followers.remove(follower)

    def add_class(self, cls: type) -> None:
        """Note a class that the recording can meet objects of."""
        if cls not in self._classes:
            self._classes[cls] = None
            for tell in self._listeners:
                tell(cls)
            metaclass = users_metaclass(cls)
            if metaclass is not None:
                self.add_class(metaclass)
            for descriptor in descriptors_of(cls):
                self.add_class(type(descriptor))

    def add_class_of(self, thing: Any) -> None:
        """Also search from the class of an object, if that is the user's."""
        source, cls = self.find(thing), type(thing)
        if source is not None and is_users_class(cls):
            self.add_root(Attribute(source, "__class__"), cls)

    def add_root(self, source: Source, value: Any) -> None:
        """Also search from `value`; of a place where nothing is, only that is known."""
        if source not in self._roots:
            self._roots[source] = None
            for follower in self._followers:
                follower.found_root(source)
            if value is not MISSING:
                self._search([(source, value)])

    def add_told(self, thing: Any, tell: Callable[[Any], Any]) -> None:
        """It matters what a function tells of an object, if that can be reached."""
        source = self.find(thing)
        if source is not None:
            self.add_root(Derived(source, tell), tell(thing))

    def add_special_method(self, cls: type, name: str, method: Any) -> None:
        """Also search from the function that Python itself looked up in a class, unless a run has made that."""
        owner = owner_of(cls, name)
        if owner is not None and is_users_function(method) and not is_rewritten(method.__code__):
            self.add_root(ClassEntry(owner, name), method)

    def add_function(self, function: Any) -> None:
        """Also search from the variables from outside that a function names."""
        for source, value in cells_of(function):
            self._note(source)
            self.add_root(source, self._first(source, value))
        self.add_globals(function)

    def add_globals(self, function: Any) -> None:
        """Also search from the globals that a function names, and from what it names of Python modules."""
        self.names |= names_in(function.__code__)
        for source, value in globals_of(function):
            self.add_root(source, self._first(source, value))

    def _first(self, source: Source, value: Any) -> Any:
        """What was in a variable before the recording has written it."""
        location = location_of(source, {})
        return value if location is None else self.journal.first(location)

    def find(self, value: Any) -> Source | None:
        """The path to this very object, or None."""
        return self._sources.get(id(value))

    def knows(self, thing: Any) -> bool:
        """Whether an object, a cell or a dict of attributes was found."""
        return self.find_contents(thing) is not None

    def find_contents(self, container: Any) -> Source | None:
        """The path to a container, also to a dict that an object keeps its attributes in."""
        found = self.find(container)
        if found is not None or not isinstance(container, dict):
            return found
        for thing in self._keep[self._searched :]:
            self._note_tables(thing)
        self._searched = len(self._keep)
        return self._tables.get(id(container))

    def source_of(self, location: Location) -> Source | None:
        """The path to a place of the user's; None if it is in an object that the call made."""
        if isinstance(location, GlobalLocation):
            return Global(location.owner, location.name)
        if not isinstance(location, AttributeLocation):
            return self.find_contents(location.owner)
        base = self.find(location.owner)
        return None if base is None else attribute_source(base, location.owner, location.name)

    def written_since(self, mark: int) -> list[Location]:
        """The places of the user's that the journal has noted since a mark."""
        return [place for place in self.journal.since(mark) if self.source_of(place) is not None]

    def check_read(self, thing: Any, name: str) -> None:
        """Go on only if an attribute that is read leads to no iterator of the user's.

        Raises:
            CaptureError: it does.
        """
        source = self.find(thing) if self._iterators else None
        if source is not None:
            refuse_iterator(self._iterators.get(attribute_source(source, thing, name)))

    def roots_and_names(self) -> tuple[dict[Source, None], set[str]]:
        """Where the search began so far, and the names in the code that was met, for `restore_roots`."""
        return dict(self._roots), set(self.names)

    def restore_roots(self, roots_and_names: tuple[dict[Source, None], set[str]]) -> None:
        """Forget those since: the code that they are of is not recorded."""
        self._roots, self.names = roots_and_names

    def classes(self) -> list[type]:
        """The classes of what was found."""
        return list(self._classes)

    def things(self) -> list[Any]:
        """What was found, cells among it."""
        return list(self._keep)

    def roots(self) -> list[Source]:
        """Where the search began."""
        return list(self._roots)

    def _note(self, source: Source) -> None:
        if isinstance(source, Cell):
            self._sources.setdefault(id(source.cell), source)
            self._keep.append(source.cell)

    def _note_tables(self, thing: Any) -> None:
        """Note the dicts that hold the attributes of an object."""
        source, own = self._sources[id(thing)], attributes_of(thing)
        if own is attributes_of(thing):
            self._tables[id(own)] = Attribute(source, "__dict__")
        if isinstance(thing, torch.nn.Module):
            self._tables.update((id(own[table]), Attribute(source, table)) for table in TABLES if table in own)

    def _search(self, starts: list[tuple[Source, Any]]) -> None:
        # Beside each the attribute that it is read by, of an object that tells of what is read of it.
        queue: deque[tuple[Source, Any, Source | None]] = deque((source, value, None) for source, value in starts)
        while queue:
            source, value, attribute = queue.popleft()
            if is_value(value) and not type(value).__dictoffset__:
                if is_users_class(type(value)):
                    self.add_class(type(value))
                continue
            if id(value) in self._sources:
                continue
            self._sources[id(value)] = source
            self._keep.append(value)
            for follower in self._followers:
                follower.found(value)
            self.add_class(value if isinstance(value, type) else type(value))
            if is_iterator(value):
                if attribute is None:
                    refuse_iterator(value)
                self._iterators[attribute] = value
            tells = is_watched(type(value))
            queue.extend((path, part, path if tells else attribute) for path, part in parts_of(source, value))


def parts_of(source: Source, value: Any) -> Iterator[tuple[Source, Any]]:
    """What an object holds directly, with the path to each."""
    if isinstance(value, type):
        yield from ((Attribute(source, name), item) for name, item in class_data(value).items())
        yield from ((Attribute(source, name), member) for name, member in _members(value).items())
        if users_metaclass(value) is not None:
            yield Attribute(source, "__class__"), type(value)
        yield from _of_class(value)
        return
    own = attributes_of(value)
    if isinstance(value, torch.Tensor):
        yield from ((Attribute(source, name), item) for name, item in own.items())
    kind = kind_of(value)
    if isinstance(value, _NOT_LOOKED_INTO) or not (kind is not None or is_looked_into(type(value))):
        return
    if isinstance(value, torch.nn.Module):
        for table in TABLES:
            yield from ((Member(source, table, name), item) for name, item in own.get(table, {}).items())
        yield from ((Member(source, "", name), item) for name, item in own.items() if name not in TABLES)
    else:
        yield from kind.parts(source, value) if kind is not None else ()
        yield from ((attribute_source(source, value, name), item) for name, item in own.items())
    yield from _parts_by_class(source, value, own)


def _parts_by_class(source: Source, value: Any, own: dict[str, Any]) -> Iterator[tuple[Source, Any]]:
    """What an object has in slots, and what its class has that may hold state."""
    cls = type(value)
    hides = answers_itself(cls)
    for name in all_slots_of(cls):
        read = Slot(class_entry(owner_of(cls, name), name))
        held = read(value) if isinstance(read.descriptor, types.MemberDescriptorType) else MISSING
        if held is not MISSING:
            yield (Derived(source, read) if hides else Attribute(source, name)), held
    for name, item in class_data(cls).items():
        if name not in own:
            yield (ClassEntry(cls, name) if hides else Attribute(source, name)), item
    yield from _of_class(cls)


def _of_class(cls: type) -> Iterator[tuple[Source, Any]]:
    """What a class of the user's holds beside data that may hold state: descriptors, functions with attributes."""
    for base in cls.__mro__ if is_users_class(cls) else ():
        for name, item in entries_of(base).items() if is_users_class(base) else ():
            if vars(item) if isinstance(item, types.FunctionType) else is_users_descriptor(item):
                yield ClassEntry(base, name), item


def is_iterator(value: Any) -> bool:
    """Whether an object gives its items once; files, which loggers hold, are left aside."""
    return isinstance(value, Iterator) and not isinstance(value, io.IOBase)


def refuse_iterator(value: Any) -> None:
    """Go on only if an object of the user's is no iterator: what it has given can't be taken back.

    Raises:
        CaptureError: it is.
    """
    if is_iterator(value):
        reason = f"a {type(value).__name__} gives other items at each run"
        raise CaptureError("D2S301", reason, "pass an item of it, or a list", user_location())


def is_looked_into(cls: type) -> bool:
    """Whether the objects of a class may hold state of the user's: not those of ours."""
    return not cls.__module__.startswith("d2s.")


def is_watched(cls: type) -> bool:
    """Whether what is looked up in the objects of a class is noted: of those that are written in Python."""
    return is_of_python(cls) and not issubclass(cls, _SEEN_OTHERWISE)


def is_of_python(cls: type) -> bool:
    """Whether a class is written in Python, and none of ours."""
    if not can_change(cls) or not is_looked_into(cls):
        return False
    loader = getattr(getattr(sys.modules.get(cls.__module__), "__spec__", None), "loader", None)
    return not isinstance(loader, ExtensionFileLoader) and loader is not BuiltinImporter


def descriptors_of(cls: type) -> list[Any]:
    """The descriptors of the user's own kinds in a class of the user's."""
    return list(filter(is_users_descriptor, vars(cls).values())) if is_users_class(cls) else []


def is_users_descriptor(item: Any) -> bool:
    """Whether an entry of a class is a descriptor that is written in Python: it may hold state."""
    return hasattr(item, "__get__") and is_of_python(type(item))


def class_data(cls: type) -> dict[str, Any]:
    """The attributes of a class of the user's that are data: no functions, no descriptors."""
    if not is_users_class(cls) or issubclass(cls, enum.Enum):
        return {}
    names = {name: None for base in cls.__mro__ if is_users_class(base) for name in vars(base)}
    found = {name: inspect.getattr_static(cls, name) for name in names if not name.startswith("__")}
    return {name: item for name, item in found.items() if not hasattr(item, "__get__")}


def _members(cls: type) -> dict[str, Any]:
    """The members of an `Enum` of the user's, which may have attributes."""
    return dict(cls.__members__) if issubclass(cls, enum.Enum) and is_users_class(cls) else {}


def attribute_source(base: Source, owner: Any, name: str) -> Source:
    """The path to an attribute of the object at `base`."""
    if isinstance(owner, torch.nn.Module):
        own = attributes_of(owner)
        if name in own:
            return Member(base, "", name)
        for table in TABLES:
            if name in own.get(table, {}):
                return Member(base, table, name)
    elif answers_itself(type(owner)) and name in attributes_of(owner):
        return Member(base, "", name)
    return Attribute(base, name)


def answers_itself(cls: type) -> bool:
    """Whether a class has a `__getattribute__` of the user's: what that answers need not be what an object holds."""
    if cls.__getattribute__ is object.__getattribute__:
        return False
    holders = (base for base in cls.__mro__ if "__getattribute__" in vars(base) and is_users_class(base))
    return any("__getattribute__" in entries_of(base) for base in holders)


def role_of(tensor: torch.Tensor, source: Source | None) -> Role:
    """What a tensor is to the user."""
    if isinstance(tensor, torch.nn.Parameter):
        return Role.PARAMETER
    if isinstance(source, Member) and source.table == "_buffers":
        return Role.BUFFER
    return Role.CONSTANT if source is None else Role.ARGUMENT

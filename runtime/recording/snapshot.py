"""The user's objects as they were before a recording: a change that the journal did not hear of is found by it.

Code that is not converted, such as that of a library, can write an object without telling anybody. The program would
not do it again at each run, so there is none, and the object is put back.
"""

from __future__ import annotations

import operator
import sys
import types
import weakref
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import (
    Attribute,
    Cell,
    Constant,
    Global,
    Source,
    attributes_of,
    is_users_class,
    is_users_name,
    read,
)
from d2s.runtime.recording.journal import Journal
from d2s.runtime.recording.lifting import LOGGERS, Reachable
from d2s.runtime.recording.locations import is_users_function
from d2s.runtime.recording.places import (
    CONTAINERS,
    MISSING,
    TABLES,
    AttributeLocation,
    BlockLocation,
    CellLocation,
    ClassLocation,
    ContentsLocation,
    GeneratorLocation,
    GlobalLocation,
    Location,
    ModuleLocation,
    NamedLocation,
    SettingLocation,
)
from d2s.runtime.recording.randomness import global_generators, is_generator
from d2s.runtime.recording.structures import contents_of, holds_objects, is_array, objects_of, slots_of
from d2s.runtime.torch_internals.settings import settings

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

# Of a function of the user's what can be replaced.
_OF_FUNCTIONS = ("__code__", "__defaults__", "__kwdefaults__")
# What these hold is made anew at each look.
_BY_VALUE = (GeneratorLocation, SettingLocation)
# Arrays of more bytes are not copied: that no unconverted code writes them is trusted.
MOST_BYTES = 2**26


@dataclass(frozen=True)
class Held:
    """What was in a place; `words` say whose place it is. `after` is what it was changed to."""

    place: Location
    before: Any
    words: str
    after: Any = None

    def names(self) -> set[str]:
        """The names whose entries in a class or a Python module were changed."""
        names = self.before.keys() | self.after.keys()
        return {name for name in names if self.before.get(name, MISSING) is not self.after.get(name, MISSING)}


class Snapshot:
    """What was in the places of some objects when these were found."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._held: dict[Location, Held] = {}
        self._modules = len(sys.modules)

    def found_root(self, source: Source) -> None:
        """Remember what is in a variable, if the root is one."""
        self._take(_variable(source), f"the variable {source}")

    def found(self, thing: Any) -> None:
        """Remember what is in an object."""
        # What the recording has written by now is as it was when the journal has undone it.
        if not any(map(self._journal.knows, (thing, attributes_of(thing)))):
            self._take(_places(thing), f"a {type(thing).__name__}")

    def take_surroundings(self) -> None:
        """Remember the settings, and the generators of random numbers that are not in the user's hands."""
        for setting in settings():
            self._take([SettingLocation(setting)], setting.name)
        self._take(map(GeneratorLocation, global_generators()), "a generator of random numbers")

    def _take(self, places: Iterable[Location], words: str) -> None:
        for place in places:
            if place not in self._held and not self._journal.has(place):
                self._held[place] = Held(place, place.read(), words)

    def restore(self) -> list[Held]:
        """Put back what is otherwise now; all that was changed."""
        changed = []
        for held in self._held.values():
            after = held.place.read()
            if self._is_changed(held.place, held.before, after):
                changed.append(replace(held, after=after))
        for held in changed:
            held.place.write(held.before)
        return changed

    def _is_changed(self, place: Location, before: Any, after: Any) -> bool:
        if isinstance(place, SettingLocation) and place.owner.by_imports and len(sys.modules) != self._modules:
            return False
        if isinstance(place, _BY_VALUE):
            return bool(before != after)
        is_variable = isinstance(place, NamedLocation | CellLocation)
        return before is not after if is_variable else not _is_same(before, after)


def check_unchanged(changed: Iterable[Held]) -> None:
    """Go on only if no place was changed that the journal did not hear of.

    Raises:
        CaptureError: one of these was.
    """
    first = next(iter(changed), None)
    if first is None:
        return
    is_outside = isinstance(first.place, _BY_VALUE)
    reason = f"{first.words} is changed by code that is not rewritten, which a program would not run"
    raise CaptureError("D2S308" if is_outside else "D2S307", reason, "change it before the static function or after")


@contextmanager
def undoing(recorder: Recorder, functions: Iterable[Any], things: Iterable[Any]) -> Iterator[None]:
    """Around code that the program itself will run at each run: what it changes meanwhile is put back.

    It is searched for among what these functions name, and these things hold.

    Raises:
        CaptureError: it changes what the recording knows of.
    """
    reach = Reachable()
    snapshot = Snapshot(reach.journal)
    with reach.followed_by(snapshot):
        for function in filter(is_users_function, functions):
            reach.add_function(function)
        for index, thing in enumerate(things):
            reach.add_root(Constant(thing, f"thing{index}"), thing)
    try:
        yield
    finally:
        changed = snapshot.restore()
    check_unchanged(held for held in changed if _is_known(recorder.reachable, held))


def _is_known(reachable: Reachable, held: Held) -> bool:
    """Whether the code that was met can ask for what is in a place."""
    place = held.place
    if isinstance(place, GlobalLocation):
        return Global(place.owner, place.name) in reachable.roots()
    if isinstance(place, ClassLocation | ModuleLocation):
        return reachable.knows(place.owner) and not reachable.names.isdisjoint(held.names())
    return reachable.knows(place.owner)


def _variable(source: Source) -> Iterator[Location]:
    match source:
        case Global():
            yield GlobalLocation(source.namespace, source.name)
        case Cell(cell):
            yield CellLocation(cell)
        case Attribute(Global() as base, name):
            module = read(base, {})
            if isinstance(module, types.ModuleType) and is_users_name(module.__name__):
                yield GlobalLocation(vars(module), name)


def _places(thing: Any) -> Iterator[Location]:
    """The places that an object has."""
    if isinstance(thing, type):
        if is_users_class(thing):
            yield ClassLocation(thing)
        return
    if isinstance(thing, LOGGERS):
        return
    if isinstance(thing, types.ModuleType):
        if is_users_name(thing.__name__):
            yield ModuleLocation(thing)
        return
    if is_users_function(thing):
        yield from (AttributeLocation(thing, name) for name in _OF_FUNCTIONS)
    if isinstance(thing, CONTAINERS):
        yield ContentsLocation(thing)
    elif is_generator(thing):
        yield GeneratorLocation(thing)
    elif is_array(thing) and memoryview(thing).nbytes <= MOST_BYTES:
        yield BlockLocation(thing)
    if type(thing).__dictoffset__:
        own = attributes_of(thing)
        yield ContentsLocation(own)
        if isinstance(thing, torch.nn.Module):
            yield from (ContentsLocation(own[table]) for table in TABLES if isinstance(own.get(table), CONTAINERS))
    for kind in type(thing).__mro__:
        if is_users_class(kind):
            yield from (AttributeLocation(thing, name) for name in slots_of(kind))


def _is_same(before: Any, now: Any) -> bool:
    """Whether a place holds the very same things, in the same order."""
    if isinstance(before, dict):
        alive = {key: item for key, item in before.items() if not (_is_gone(key) or _is_gone(item))}
        return _are_same(alive, now) and _are_same(alive.values(), now.values())
    if isinstance(before, CONTAINERS):
        return _are_same(before, now)
    if is_array(before):
        if holds_objects(before):
            return _are_same(objects_of(before), objects_of(now))
        return contents_of(before) == contents_of(now)
    return before is now


def _are_same(before: Collection[Any], now: Collection[Any]) -> bool:
    return len(before) == len(now) and all(map(operator.is_, before, now))


def _is_gone(thing: Any) -> bool:
    return isinstance(thing, weakref.ref) and thing() is None

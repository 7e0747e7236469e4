"""The places that a recording may write, each with how it is read and written: what the journal is about.

They are read and written at the lowest level that keeps an object whole, and never by code of the user's: what that
code does was recorded already.
"""

from __future__ import annotations

import ctypes
import types
from collections import deque
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.ir.sources import attributes_of, class_entry
from d2s.runtime.recording.locations import is_left_alone, is_own
from d2s.runtime.recording.randomness import set_state, state_of
from d2s.runtime.recording.structures import copied_block, dict_class, plain_copy
from d2s.runtime.torch_internals.settings import Setting


class Missing:
    """What a location holds that holds nothing: an unbound variable, an attribute that is not there."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()


class Slot:
    """Reads a slot of an object, or what else a class in C keeps of it; MISSING where it is not set."""

    def __init__(self, descriptor: Any):
        self.descriptor = descriptor

    def __call__(self, thing: Any) -> Any:
        try:
            return self.descriptor.__get__(thing)
        except AttributeError:
            return MISSING

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slot) and self.descriptor is other.descriptor

    def __hash__(self) -> int:
        return hash(self.descriptor)


class _Structure(ctypes.Structure):
    _fields_ = (("field", ctypes.c_int),)


# Their attributes are read in C, with the class as their only say in it.
IN_C = (types.MemberDescriptorType, types.GetSetDescriptorType, type(_Structure.field))
# Where a module of torch keeps what it is made of.
TABLES = ("_parameters", "_buffers", "_modules")


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
        descriptor = class_entry(type(self.owner), self.name, MISSING)
        if isinstance(descriptor, IN_C):
            return Slot(descriptor)(self.owner)
        if hasattr(type(descriptor), "__set__"):
            return getattr(self.owner, self.name, MISSING)
        own = vars(self.owner) if isinstance(self.owner, type) else attributes_of(self.owner)
        tables = TABLES if isinstance(self.owner, torch.nn.Module) else ()
        holders = (own, *(own[table] for table in tables if table in own))
        return next((holder[self.name] for holder in holders if self.name in holder), MISSING)

    def is_of_descriptor(self) -> bool:
        """Whether a property or such stands for it, of which only the code there knows what it keeps."""
        descriptor = class_entry(type(self.owner), self.name, MISSING)
        return hasattr(type(descriptor), "__set__") and not isinstance(descriptor, IN_C)

    def is_plain(self) -> bool:
        usual = object.__setattr__, torch.nn.Module.__setattr__, type.__setattr__
        return type(self.owner).__setattr__ in usual and self.name in getattr(self.owner, "__dict__", {})

    def write(self, value: Any) -> None:
        if value is not MISSING:
            _setter(self.owner, "__setattr__")(self.owner, self.name, value)
        elif self.read() is not MISSING:
            _setter(self.owner, "__delattr__")(self.owner, self.name)


def _setter(owner: Any, name: str) -> Any:
    """The first special method of this name in the classes of an object that is neither the user's nor ours."""
    found = (vars(cls)[name] for cls in type(owner).__mro__ if name in vars(cls))
    return next(method for method in found if not isinstance(method, types.FunctionType) or _is_librarys(method))


def _is_librarys(method: types.FunctionType) -> bool:
    return is_left_alone(method.__code__) and not is_own(method.__code__.co_filename)


class NamespaceLocation(Location):
    """What a class or a Python module itself has, as far as a subclass `holds` it."""

    def holds(self, name: str, item: Any) -> bool:
        """Whether an entry is among it."""
        raise NotImplementedError

    def read(self) -> Any:
        return {name: item for name, item in vars(self.owner).items() if self.holds(name, item)}

    def write(self, value: Any) -> None:
        for name in self.read().keys() - value.keys():
            AttributeLocation(self.owner, name).write(MISSING)
        for name, item in value.items():
            AttributeLocation(self.owner, name).write(item)


class ClassLocation(NamespaceLocation):
    """The data that a class of the user's has: no methods, no descriptors."""

    def holds(self, name: str, item: Any) -> bool:
        return not name.startswith("__") and not hasattr(item, "__get__")


class ModuleLocation(NamespaceLocation):
    """What a Python module has, but for other modules, which are there once they are imported."""

    def holds(self, name: str, item: Any) -> bool:
        return not isinstance(item, types.ModuleType)


class ContextLocation(Location):
    """What a context variable holds, or its default; MISSING where it has neither."""

    owner: ContextVar[Any]

    def read(self) -> Any:
        try:
            return self.owner.get()
        except LookupError:
            return MISSING

    def write(self, value: Any) -> None:
        self.owner.set(value)


CONTAINERS = (list, dict, set, deque)


class ContentsLocation(Location):
    """What a list, dict, set or deque contains, as a copy of it that is of the plain type."""

    def read(self) -> Any:
        return plain_copy(self.owner)

    def write(self, value: Any) -> None:
        if isinstance(self.owner, list):
            list.__setitem__(self.owner, slice(None), value)
        elif isinstance(self.owner, dict):
            kind = dict_class(self.owner)
            kind.clear(self.owner)
            for key, item in value.items():
                kind.__setitem__(self.owner, key, item)
        elif isinstance(self.owner, set):
            set.clear(self.owner)
            set.update(self.owner, value)
        else:
            deque.clear(self.owner)
            deque.extend(self.owner, value)


class BlockLocation(Location):
    """The numbers, or the objects, in an array, and its shape."""

    def read(self) -> Any:
        return copied_block(self.owner)

    def write(self, value: Any) -> None:
        if not hasattr(self.owner, "shape"):
            self.owner[:] = value
            return
        if self.owner.size != value.size:
            self.owner.resize(value.shape, refcheck=False)
        self.owner.shape = value.shape
        self.owner[...] = value


class GeneratorLocation(Location):
    """The state of a generator of random numbers, as bytes."""

    def read(self) -> Any:
        return state_of(self.owner)

    def write(self, value: Any) -> None:
        set_state(self.owner, value)


class SettingLocation(Location):
    """A setting of torch, numpy or Python."""

    owner: Setting

    def key(self) -> tuple[Any, ...]:
        return type(self), self.owner.name

    def read(self) -> Any:
        return self.owner.read()

    def write(self, value: Any) -> None:
        self.owner.set(value)

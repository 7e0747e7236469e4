"""Where the look-ups of attributes end that a recording made: those places are guarded, present or absent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import (
    Attribute,
    ClassEntry,
    Constant,
    Derived,
    Item,
    Member,
    Source,
    attributes_of,
    class_entry,
    is_users_class,
    owner_of,
    users_metaclass,
)
from d2s.runtime.recording.checks import Check, IsObject, IsValue, Lacks
from d2s.runtime.recording.kinds import is_value
from d2s.runtime.recording.lifting import answers_itself, attribute_source
from d2s.runtime.recording.locations import is_users_function
from d2s.runtime.recording.places import IN_C, MISSING, Slot
from d2s.runtime.recording.variables import Found


def looked_up(source: Source, thing: Any, names: Iterable[str]) -> Found:
    """What decided the look-ups of these names in an object, with the path to each; MISSING where nothing was."""
    own = attributes_of(thing)
    for name in sorted(names):
        if name == "__dict__":
            yield Derived(source, attributes_of), own
        elif name == "__class__":
            if is_users_class(type(thing)):
                yield Attribute(source, name), type(thing)
        else:
            yield from _decided(source, thing, own, name)


def looked_up_in_class(source: Source, cls: type, names: frozenset[str]) -> Found:
    """What a class of the user's, as an object, has by the names in the code, and a check for those that it lacks."""
    if not is_users_class(cls):
        return
    for name in sorted(names):
        owner = owner_of(cls, name)
        if owner is not None and is_users_class(owner):
            found = vars(owner)[name]
            yield ClassEntry(cls, name) if hasattr(found, "__get__") else Attribute(source, name), found
    if users_metaclass(cls) is not None:
        yield Attribute(source, "__class__"), type(cls)
    yield Attribute(source, "__mro__"), IsValue(cls.__mro__)
    for index, base in enumerate(cls.__mro__):
        if is_users_class(base):
            path = Item(Attribute(source, "__mro__"), index)
            yield Attribute(path, "__dict__"), Lacks(names - base.__dict__.keys())


# What Python looks up by itself: what a class gets of these says otherwise what an operator, a loop or a test does.
_ARITHMETIC = "add sub mul matmul truediv floordiv mod divmod pow lshift rshift and or xor".split()
_SPECIAL = frozenset(
    f"__{name}__"
    for name in (
        *"call new init class_getitem instancecheck subclasscheck enter exit".split(),
        *"torch_function array array_ufunc".split(),
        *"getattr getattribute setattr delattr get set delete getitem setitem delitem missing".split(),
        *"len length_hint contains iter next reversed eq ne lt le gt ge hash".split(),
        *"bool int float complex index str repr format round trunc floor ceil neg pos abs invert".split(),
        *(side + operation for operation in _ARITHMETIC for side in ("", "r", "i")),
    )
)


def unextended(things: Iterable[Any], names: frozenset[str]) -> Iterator[tuple[Source, Check]]:
    """Checks of the users' classes among these objects, and of theirs: no new special methods, nor these names.

    Special methods that are functions of the user's are noted when Python calls them.
    """
    asked = _SPECIAL | names
    made_by = (thing if isinstance(thing, type) else type(thing) for thing in things)
    for cls in dict.fromkeys(base for kind in made_by for one in (kind, type(kind)) for base in one.__mro__):
        if is_users_class(cls):
            own = vars(cls)
            lacking = Lacks(asked - own.keys(), len(own))
            yield Attribute(Constant(cls, cls.__qualname__), "__dict__"), lacking
            others = {name: item for name, item in own.items() if not is_users_function(item)}
            yield from ((ClassEntry(cls, name), IsObject(others[name])) for name in sorted(_SPECIAL & others.keys()))


def unpatched(names: frozenset[str]) -> tuple[Source, Check]:
    """That tensors have no special methods, nor those of these names, that they had not."""
    own = vars(torch.Tensor)
    return Attribute(Constant(torch.Tensor, "Tensor"), "__dict__"), Lacks((_SPECIAL | names) - own.keys(), len(own))


def _decided(source: Source, thing: Any, own: dict[str, Any], name: str) -> Found:
    owner = owner_of(type(thing), name)
    of_class = MISSING if owner is None else vars(owner)[name]
    if hasattr(type(of_class), "__set__"):
        yield from _of_descriptor(source, thing, owner, name)
        return
    path = attribute_source(source, thing, name)
    if isinstance(path, Member):
        yield path, path.of(thing)
        if path.table:
            yield Member(source, "", name), MISSING  # it would hide the other
    elif name in own:
        yield path, own[name]
        if owner is not None and is_users_class(owner):
            yield ClassEntry(type(thing), name), of_class  # a property in its place would hide the other
    else:
        yield from _of_class(source, thing, owner, name)


def _of_descriptor(source: Source, thing: Any, owner: type, name: str) -> Found:
    """A property, a slot and the like, which an entry of the object does not hide."""
    descriptor = vars(owner)[name]
    if is_users_class(owner):
        yield ClassEntry(type(thing), name), descriptor
    if isinstance(descriptor, IN_C):
        read = Slot(descriptor)
        held = read(thing)
        if not is_value(held) and read(thing) is not held:
            reason = f"{source}.{name} makes a {type(held).__name__} whenever it is read, of what it does not own"
            raise CaptureError("D2S310", reason, "read it before the call, and hand in what it gives")
        is_plain = held is not MISSING and not answers_itself(type(thing))
        yield Attribute(source, name) if is_plain else Derived(source, read), held


def _of_class(source: Source, thing: Any, owner: type | None, name: str) -> Found:
    """What the class has for a name that the object itself has not, or that there is nothing at all."""
    of_class = MISSING if owner is None else vars(owner)[name]
    if owner is not None and not _can_be_replaced(owner, name):
        return
    if owner is not None and not hasattr(of_class, "__get__") and not answers_itself(type(thing)):
        yield Attribute(source, name), of_class
        return
    if hasattr(thing, "__dict__"):
        yield Member(source, "", name), MISSING
    if owner is not None or is_users_class(type(thing)):
        yield ClassEntry(type(thing), name), of_class
    fallback = class_entry(type(thing), "__getattr__", MISSING)
    if owner is None and fallback is not MISSING:
        yield ClassEntry(type(thing), "__getattr__"), fallback


def _can_be_replaced(owner: type, name: str) -> bool:
    """Whether users replace a method of this class: what torch and Python need for themselves, they leave alone."""
    return is_users_class(owner) or (owner.__module__.startswith("torch.") and not name.startswith("_"))

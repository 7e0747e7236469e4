"""What is in an object, with the path to each part, and what must hold of it as a whole: for the table of kinds."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from d2s.runtime.ir.sources import Attribute, Derived, Item, Source
from d2s.runtime.recording.checks import Check, HasContents, HasForm, HasMembers, IsFunction, IsObject
from d2s.runtime.recording.locations import is_left_alone
from d2s.runtime.recording.structures import contents_of, holds_objects, objects_of, plain_copy
from d2s.runtime.recording.variables import cells_of

Parts = Iterable[tuple[Source, Any]]
# Told apart by their class and value alone.
_PLAIN = (bool, int, str, bytes, type(None))


def no_parts(source: Source, thing: Any) -> Parts:
    """Of what is guarded as a whole."""
    return ()


def named(*names: str) -> Callable[[Source, Any], Parts]:
    """The parts that are attributes of these names, as far as they are there."""

    def parts(source: Source, thing: Any) -> Parts:
        return [(Attribute(source, name), getattr(thing, name)) for name in names if hasattr(thing, name)]

    return parts


# ------------------------------------------------------------------ containers


def form(thing: Any) -> Check:
    """Its class: the rest is in the parts."""
    return HasForm(type(thing))


def length(thing: Any) -> Check:
    """Its class and length."""
    return HasForm(type(thing), length=len(thing))


def keys(thing: Any) -> Check:
    """Its class and keys, in order."""
    return HasForm(type(thing), keys=tuple(thing)) if are_plain(thing) else length(thing)


def members(thing: Any) -> Check:
    """Its class and members, in order."""
    return HasMembers(type(thing), tuple(thing)) if are_plain(thing) else length(thing)


def are_plain(things: Iterable[Any]) -> bool:
    """Whether these are told apart by their classes and values alone."""
    return all(type(thing) in _PLAIN for thing in things)


def items(source: Source, thing: Any) -> Parts:
    """Those of a sequence."""
    return [(Item(source, index), item) for index, item in enumerate(thing)]


def each(source: Source, thing: Any) -> Parts:
    """The members of a set, or the keys of a dict, in order: where no check has told them apart yet."""
    return [] if are_plain(thing) else [(Derived(source, tuple), tuple(thing))]


def values(source: Source, thing: Any) -> Parts:
    """The keys and the values of a dict."""
    return [*each(source, thing), *((Item(source, key), thing[key]) for key in thing)]


def plainly(source: Source, container: Any) -> Parts:
    """What a container holds, whatever its own methods say."""
    return [(Derived(source, plain_copy), plain_copy(container))]


def zone(source: Source, thing: Any) -> Parts:
    """The time zone of a date or a time."""
    held = getattr(thing, "tzinfo", None)
    return [] if held is None else [(Attribute(source, "tzinfo"), held)]


def both(*given: Callable[[Source, Any], Parts]) -> Callable[[Source, Any], Parts]:
    """The parts of several kinds together."""
    return lambda source, thing: [part for parts in given for part in parts(source, thing)]


# ------------------------------------------------------------------ functions


def function(thing: Any) -> Check:
    """A function of the user's is what its code and defaults are; others are taken to stay as they are."""
    if is_left_alone(thing.__code__):
        return IsObject(thing)
    return IsFunction(thing, thing.__code__, thing.__defaults__, bool(vars(thing)))


def of_function(source: Source, function: Any) -> Iterator[tuple[Source, Any]]:
    """The variables of outer functions, the defaults that can change in place, and the attributes."""
    yield from cells_of(function)
    if not are_plain(function.__defaults__ or ()):
        yield Attribute(source, "__defaults__"), function.__defaults__
    if function.__kwdefaults__ or not is_left_alone(function.__code__):
        yield Attribute(source, "__kwdefaults__"), function.__kwdefaults__
    if vars(function) and not is_left_alone(function.__code__):
        yield Attribute(source, "__dict__"), vars(function)


def built_in(function: Any) -> Check:
    """A function of a module is always the same object, a method is made by each look-up."""
    return IsObject(function) if _is_of_module(function) else form(function)


def of_built_in(source: Source, function: Any) -> Parts:
    """What a built-in method is bound to, and its name."""
    return () if _is_of_module(function) else named("__self__", "__name__")(source, function)


def _is_of_module(function: Any) -> bool:
    return isinstance(function.__self__, types.ModuleType | None)


# ------------------------------------------------------------------ what no name and no key leads to


def referent(reference: Any) -> Any:
    """What a weak reference refers to."""
    return reference()


def of_reference(source: Source, reference: Any) -> Parts:
    """What a weak reference refers to."""
    return [(Derived(source, referent), reference())]


def block(thing: Any) -> Check:
    """The numbers in a block of memory."""
    contents = None if holds_objects(thing) else contents_of(thing)
    return form(thing) if contents is None else HasContents(type(thing), contents)


def of_block(source: Source, thing: Any) -> Parts:
    """What an array of objects holds, in its shape."""
    if not holds_objects(thing):
        return ()
    return [(Attribute(source, "shape"), thing.shape), (Derived(source, objects_of), objects_of(thing))]

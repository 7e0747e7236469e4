"""Dicts and sets whose keys are known only when the program runs.

A dict that the function makes is Python's own, until something gets a key that only the run knows, or branches leave
it with these keys or those. Then the function is recorded again, and what is made at that place of the code is a
`RunTimeDict`: it stands for the dict that the program has when it runs, and what is done to it are ops. Neither class
is a subclass of Python's own: code in C, which looks into those, must not take it for an empty one.
"""

from __future__ import annotations

import collections
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.ir.program import ORDERED, PURE, Effects, Value
from d2s.runtime.recording.arrays import is_run_time_array
from d2s.runtime.recording.choices import is_run_time_choice
from d2s.runtime.recording.locations import Site
from d2s.runtime.recording.staged import RunTimeValue, is_staged

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

DICTS = (dict, collections.OrderedDict, collections.Counter, collections.defaultdict)
KINDS = (*DICTS, set, frozenset)


def place_of_keys(site: Site) -> Site:
    """What stands for the keys of what a place makes, among the places of the code."""
    return site, "keys"


@dataclass(frozen=True)
class Origin:
    """Where a dict or set is made, and what it is; `factory` is that of a defaultdict."""

    kind: type
    site: Site
    factory: Any = None

    @property
    def keys(self) -> Any:
        """What stands for its keys among the places of the code."""
        return place_of_keys(self.site)

    def is_like(self, other: Origin) -> bool:
        """Whether the tables of another place are of the same kind."""
        return self.kind is other.kind and self.factory is other.factory


def is_run_time_table(thing: object) -> bool:
    """Whether this is a dict or set whose keys are known only when the program runs."""
    return issubclass(type(thing), RunTimeTable)


def is_run_time_key(key: Any) -> bool:
    """Whether the hash of a key is known only when the program runs.

    That of a tensor is the object's, and that of a choice has the recording fork.
    """
    if isinstance(key, tuple) and not is_staged(key):
        return any(map(is_run_time_key, key))
    return (
        is_staged(key)
        and not isinstance(key, torch.Tensor)
        and not is_run_time_choice(key)
        and not is_run_time_array(key)
    )


def keys_of(table: Any) -> tuple[Any, ...]:
    """The keys of a dict, or the elements of a set."""
    return tuple(table)


def values_of(table: Any) -> tuple[Any, ...]:
    """The values of a dict."""
    return tuple(table.values())


def items_of(table: Any) -> tuple[Any, ...]:
    """The pairs of a dict."""
    return tuple(table.items())


class RunTimeTable(RunTimeValue):
    """What dicts and sets share. `value` is the value in the program."""

    def __init__(self, recorder: Recorder, value: Value, origin: Origin):
        self.recorder = recorder
        self.value = value
        self.origin = origin

    __class__ = property(lambda self: self.origin.kind)
    __hash__ = None  # type: ignore[assignment]

    @property
    def kind(self) -> Any:
        return self.origin.kind

    def refusal(self, what: str) -> BaseException:
        """What to raise where Python itself has to know."""
        return self.recorder.tables.refuse(self.origin, what)

    def write(self, target: Callable[..., Any], *args: Any) -> None:
        """Record a call that changes it."""
        self.recorder.emit_call(target, (self, *args), {}, None, ORDERED)

    def keys(self) -> Any:
        return self.recorder.tables.listed(self, keys_of, "keys")

    def key(self, target: Callable[..., Any], *args: Any, effects: Effects = PURE) -> Any:
        """Record a call that gives a key."""
        return self.recorder.tables.key(self, target, (self, *args), effects)

    def holds(self, key: Any) -> Any:
        """`key in self`."""
        return self.recorder.number_call(operator.contains, (self, key), bool)

    def length(self) -> Any:
        """`len(self)`."""
        return self.recorder.number_call(len, (self,), int)

    def clear(self) -> None:
        self.write(self.kind.clear)

    def copy(self) -> Any:
        return self.recorder.tables.derived(self.origin, self.kind.copy, (self,))

    __copy__ = copy

    def __contains__(self, key: Any) -> bool:
        return bool(self.holds(key))

    def __bool__(self) -> bool:
        return bool(self.length() > 0)

    def __eq__(self, other: object) -> Any:
        return self.recorder.number_call(operator.eq, (self, self.recorder.tables.plain(other)), bool)

    def __ne__(self, other: object) -> Any:
        return not self == other

    def __len__(self) -> int:
        raise self.refusal("the length")

    def __iter__(self) -> Any:
        raise self.refusal("each key")

    def __repr__(self) -> str:
        if self.recorder.is_at_work():
            raise self.refusal("the text")
        return f"<{self.kind.__name__} {self.value}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self.refusal("a pickle")

    def __getattr__(self, name: str) -> Any:
        getattr(self.kind, name)  # which raises what it raises
        raise self.refusal(f"the {name}")


class RunTimeDict(RunTimeTable):
    """A dict, OrderedDict, Counter or defaultdict."""

    def values(self) -> Any:
        return self.recorder.tables.listed(self, values_of, "values")

    def items(self) -> Any:
        return self.recorder.tables.listed(self, items_of, "items")

    def _item(self, target: Callable[..., Any], *args: Any, effects: Effects = PURE) -> Any:
        return self.recorder.tables.item(self, target, (self, *args), effects)

    def __getitem__(self, key: Any) -> Any:
        makes = self.kind is collections.defaultdict
        if makes:
            self.recorder.tables.note(self.origin, [key])
        return self._item(operator.getitem, key, effects=ORDERED if makes else PURE)

    def get(self, key: Any, default: Any = None) -> Any:
        return self.recorder.tables.item_or(self, self.kind.get, key, default, PURE)

    def pop(self, key: Any, *default: Any) -> Any:
        if default:
            return self.recorder.tables.item_or(self, self.kind.pop, key, default[0], ORDERED)
        return self._item(self.kind.pop, key, effects=ORDERED)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        self.recorder.tables.note(self.origin, [key], [default])
        return self._item(self.kind.setdefault, key, default, effects=ORDERED)

    def __setitem__(self, key: Any, item: Any) -> None:
        self.recorder.tables.note(self.origin, [key], [item])
        self.write(operator.setitem, key, item)

    def __delitem__(self, key: Any) -> None:
        self.write(operator.delitem, key)

    def update(self, *others: Any, **named: Any) -> None:
        for other in (*others, named) if named else others:
            self.write(self.kind.update, self.recorder.tables.noted(self.origin, other))

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self

    def __or__(self, other: Any) -> Any:
        made = self.copy()
        made.update(other)
        return made

    def most_common(self, *count: Any) -> Any:
        if self.kind is not collections.Counter:
            return self.__getattr__("most_common")
        return self.recorder.tables.most_common(self, count)


class RunTimeSet(RunTimeTable):
    """A set or a frozenset."""

    def add(self, element: Any) -> None:
        self.recorder.tables.note(self.origin, [element])
        self.write(set.add, element)

    def discard(self, element: Any) -> None:
        self.write(set.discard, element)

    def remove(self, element: Any) -> None:
        self.write(set.remove, element)

    def pop(self) -> Any:
        return self.key(set.pop, effects=ORDERED)

    def update(self, *others: Any) -> None:
        for other in others:
            self.write(set.update, self.recorder.tables.noted(self.origin, other))

    def _made(self, method: Callable[..., Any], others: Iterable[Any]) -> Any:
        given = [self.recorder.tables.noted(self.origin, other) for other in others]
        return self.recorder.tables.derived(self.origin, method, (self, *given))

    def _asked(self, method: Callable[..., Any], other: Any) -> Any:
        return self.recorder.number_call(method, (self, self.recorder.tables.plain(other)), bool)

    def union(self, *others: Any) -> Any:
        return self._made(self.kind.union, others)

    def intersection(self, *others: Any) -> Any:
        return self._made(self.kind.intersection, others)

    def difference(self, *others: Any) -> Any:
        return self._made(self.kind.difference, others)

    def symmetric_difference(self, other: Any) -> Any:
        return self._made(self.kind.symmetric_difference, [other])

    def issubset(self, other: Any) -> Any:
        return self._asked(self.kind.issubset, other)

    def issuperset(self, other: Any) -> Any:
        return self._asked(self.kind.issuperset, other)

    def isdisjoint(self, other: Any) -> Any:
        return self._asked(self.kind.isdisjoint, other)

    __le__, __ge__ = issubset, issuperset

    def __or__(self, other: Any) -> Any:
        return self.union(other)

    def __and__(self, other: Any) -> Any:
        return self.intersection(other)

    def __sub__(self, other: Any) -> Any:
        return self.difference(other)

    def __xor__(self, other: Any) -> Any:
        return self.symmetric_difference(other)

    __ror__, __rand__, __rxor__ = __or__, __and__, __xor__

    def __rsub__(self, other: Any) -> Any:
        return self.recorder.tables.made(set(other), self.origin.site).difference(self)

    def __ior__(self, other: Any) -> Any:
        self.update(other)
        return self


def make_table(recorder: Recorder, value: Value, origin: Origin) -> RunTimeTable:
    """The dict or set of the run that stands for a value."""
    return (RunTimeDict if issubclass(origin.kind, dict) else RunTimeSet)(recorder, value, origin)

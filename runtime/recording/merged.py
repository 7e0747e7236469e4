"""Lists, dicts and objects that a call makes, and that a branch or a loop leaves one or another of: merged by value.

The thing that takes the place of both is a new one. That can't be told as long as neither it nor those that it
stands for are changed or compared by `is` afterwards: where they are, the function is recorded again without.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.recording.locations import package_of
from d2s.runtime.recording.regions import RecordAgain

if TYPE_CHECKING:
    from d2s.runtime.recording.lifting import Reachable

_OTHERS = (torch.nn.Module, torch.Tensor, type, types.ModuleType, types.FunctionType, types.MethodType, enum.Enum)


class MergedIsChanged(RecordAgain):
    """A thing that was merged by value is changed, or asked for its identity."""

    def __init__(self, merged: Merged):
        self.settle = merged.give_up


class Merged:
    """What was merged by value in one run of the function."""

    def __init__(self, reachable: Reachable):
        self._reachable = reachable
        self._given_up = False
        self.forget_run()

    def forget_run(self) -> None:
        """Begin a new run of the function."""
        self._kept: dict[int, Any] = {}

    def give_up(self) -> None:
        """From now on nothing is merged by value."""
        self._given_up = True

    def can_be(self, thing: Any) -> bool:
        """Whether a thing can be merged by value with another."""
        if self._given_up or isinstance(thing, _OTHERS) or self._reachable.find(thing) is not None:
            return False
        return type(thing) in (list, dict) or (
            type(getattr(thing, "__dict__", None)) is dict
            and type(thing).__reduce__ is object.__reduce__
            and package_of(type(thing)) not in ("builtins", "torch", "numpy", "d2s")
            and not isinstance(thing, list | dict | tuple | set | BaseException)
        )

    def held(self, things: Iterable[Any]) -> Held:
        """What those of some things hold now that can be merged by value."""
        return {id(thing): (thing, *contents(thing)) for thing in things if self.can_be(thing)}

    def keep(self, thing: Any) -> Any:
        """Note that a thing was merged, or is what others were merged to."""
        self._kept[id(thing)] = thing
        return thing

    def check_unwritten(self, thing: Any) -> None:
        """Go on only if a thing, which is about to be changed or compared by `is`, was not merged.

        Raises:
            MergedIsChanged: it was.
        """
        if id(thing) in self._kept:
            raise MergedIsChanged(self)


# By the id of a thing: the thing, its keys or names, and what it holds.
Held = Mapping[int, tuple[Any, tuple[Any, ...], tuple[Any, ...]]]
NOTHING: Held = MappingProxyType({})


def contents(thing: Any, held: Held = NOTHING) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The keys or names in a thing that can be merged, none for a list; and what it holds, as `held` says or now."""
    if id(thing) in held:
        return held[id(thing)][1:]
    if type(thing) is list:
        return (), tuple(thing)
    held = thing if type(thing) is dict else vars(thing)
    return tuple(held), tuple(held.values())


def with_contents(like: Any, keys: tuple[Any, ...], items: list[Any]) -> Any:
    """A thing like this one that holds these."""
    if type(like) is list:
        return list(items)
    held = dict(zip(keys, items, strict=True))
    if type(like) is dict:
        return held
    made = object.__new__(type(like))
    vars(made).update(held)
    return made

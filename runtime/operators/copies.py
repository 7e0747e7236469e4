"""What reads all of an object below Python's look-ups of attributes: copies, pickles, `__dict__`."""

from __future__ import annotations

import copy
import inspect
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any

from d2s.runtime.ir.sources import Attribute, Constant, is_users_class
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.unseen import knowing_texts
from d2s.runtime.recording.lifting import is_watched, parts_of
from d2s.runtime.recording.locations import for_the_user
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.structures import all_slots_of
from d2s.runtime.torch_internals.calls import entries_of


def _reading(function: Callable[..., Any], found: Callable[[Any], Iterator[Any]]) -> Callable[..., Any]:
    """The form of a function: all of the objects that are `found` from its first argument is noted as read."""
    form = knowing_texts(function)

    def reads(*args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is not None:
            for thing in found(args[0]) if args else ():
                for name in ("__dict__", *all_slots_of(type(thing))):
                    recorder.reads.note(thing, name)
        return form(*args, **kwargs)

    return reads


def _alone(thing: Any) -> Iterator[Any]:
    if is_watched(type(thing)):
        yield thing


def _and_inside(thing: Any) -> Iterator[Any]:
    seen: dict[int, Any] = {}
    things = [thing]
    while things:
        thing = things.pop()
        if id(thing) not in seen:
            seen[id(thing)] = thing
            yield from _alone(thing)
            things.extend(part for _, part in parts_of(Constant(thing, "thing"), thing))


@for_the_user
def own_dict(thing: Any) -> Any:
    """`thing.__dict__`: that of a class is without what a recording has put there."""
    recorder = active_recorder()
    if recorder is not None and isinstance(thing, types.ModuleType):
        recorder.reachable.add_told(thing, _keys)
    if recorder is None or not isinstance(thing, type) or not is_users_class(thing):
        return thing.__dict__
    source, entries = recorder.reachable.find(thing), entries_of(thing)
    if source is not None:
        recorder.reachable.add_root(Attribute(source, "__dict__"), entries)
    return entries


@for_the_user
def vars_(*args: Any) -> Any:
    """`vars(...)`."""
    return own_dict(*args) if len(args) == 1 and isinstance(args[0], type | types.ModuleType) else vars(*args)


def _keys(module: types.ModuleType) -> tuple[str, ...]:
    return tuple(vars(module))


def _attribute(thing: Any, name: str) -> Any:
    """`object.__getattribute__(thing, name)`."""
    recorder = active_recorder()
    if recorder is not None and is_watched(type(thing)):
        recorder.reads.note(thing, name)
    return object.__getattribute__(thing, name)


REPLACEMENTS.update({object.__getattribute__: _attribute, vars: vars_})
REPLACEMENTS.update({function: _reading(function, _alone) for function in (copy.copy, inspect.getattr_static)})
REPLACEMENTS.update({function: _reading(function, _and_inside) for function in (copy.deepcopy, pickle.dumps)})

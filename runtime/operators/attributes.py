"""`getattr` and its kin: a name that is computed counts as one that stands in the code."""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.ir.sources import ClassEntry, owner_of
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.unseen import knowing_texts
from d2s.runtime.recording.locations import for_the_user
from d2s.runtime.recording.places import MISSING
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.variables import named_of


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """The form of a function that gets an object and the name of an attribute."""
    form = knowing_texts(function)

    @for_the_user
    def asks(*args: Any) -> Any:
        recorder = active_recorder()
        if recorder is not None and len(args) > 1 and type(args[1]) is str:
            _note(recorder, args[0], args[1])
        return form(*args)

    return asks


def _note(recorder: Recorder, thing: Any, name: str) -> None:
    reachable = recorder.reachable
    reachable.names.add(name)
    if isinstance(thing, torch.Tensor) and owner_of(type(thing), name) is None:
        reachable.add_root(ClassEntry(torch.Tensor, name), MISSING)
    source = reachable.find(thing) if isinstance(thing, types.ModuleType) else None
    if source is not None:
        for path, item in named_of(source, thing, [name]):
            reachable.add_root(path, item)


def of_getter(getter: operator.attrgetter[Any]) -> Callable[[Any], Any]:
    """The form of an `operator.attrgetter`."""
    paths = [path.split(".") for path in getter.__reduce__()[1]]

    @for_the_user
    def gets(thing: Any) -> Any:
        found = [thing] * len(paths)
        for place, path in enumerate(paths):
            found[place] = functools.reduce(REPLACEMENTS[getattr], path, thing)
        return tuple(found) if len(found) > 1 else found[0]

    return gets


def _names(thing: Any) -> tuple[str, ...]:
    return tuple(dir(thing))


@for_the_user
def _dir(*args: Any) -> list[str]:
    """`dir(...)`."""
    recorder = active_recorder()
    found = dir(*args)  # without an argument it is refused before
    if recorder is not None:
        recorder.reachable.add_told(args[0], _names)
    return found


REPLACEMENTS[dir] = _dir
REPLACEMENTS.update({function: _asking(function) for function in (getattr, hasattr)})

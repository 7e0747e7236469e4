"""Makes arguments that the guards of a program let in, for what is compiled from examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from d2s.runtime.ir.sources import Argument, Item, Source
from d2s.runtime.recording.guards import Check, Guard, HasForm, IsObject, IsSame, IsTensor, IsValue
from d2s.runtime.recording.structures import maker_of


def example_arguments(guards: Iterable[Guard], parameters: Sequence[str]) -> dict[str, Any]:
    """One argument for each of these parameters."""
    checks = {guard.source: guard.check for guard in guards}
    made: dict[Source, Any] = {}
    return {name: _made(Argument(name), checks, made) for name in parameters}


def _made(source: Source, checks: dict[Source, Check], made: dict[Source, Any]) -> Any:
    if source not in made:
        made[source] = _make(source, checks, made)
    return made[source]


def _make(source: Source, checks: dict[Source, Check], made: dict[Source, Any]) -> Any:
    match checks.get(source):
        case IsValue(value) | IsObject(value):
            return value
        case IsSame(other):
            return _made(other, checks, made)
        case IsTensor() as check:
            return check.example()
        case HasForm(cls, _, keys) if keys is not None:
            return cls((key, _made(Item(source, key), checks, made)) for key in keys)
        case HasForm(cls, length) if length is not None and issubclass(cls, list | tuple):
            return maker_of(cls)([_made(Item(source, index), checks, made) for index in range(length)])
        case HasForm(cls):
            return cls()
    return None

"""What a program assumes of a call, as conditions that people read: `x.shape == (5, 4)`, `self.training`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.program import TensorType
from d2s.runtime.ir.sources import Attribute, Member, Source, prefixes
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Differs, Guard, HasForm, IsMissing, IsObject, IsSame, IsTensor, IsValue
from d2s.runtime.source.trees import Trees
from d2s.runtime.standalone.module import ROOT

_KINDS = (int, float, bool, str, list, tuple, dict, set, frozenset)


class Checks:
    """Writes the assumptions of programs; `place` writes paths."""

    def __init__(self, place: Callable[[Source], ast.expr], trees: Trees):
        self._place = place
        self._trees = trees

    def of_arguments(self, capture: Capture) -> list[str]:
        """What the program assumes of the arguments of the call.

        Raises:
            D2SError: it can't be written as source.
        """
        guards = [guard for guard in capture.guards if str(prefixes(guard.source)[0]) != ROOT]
        return [text for guard in guards for text in self._texts(guard, capture.asks_of)]

    def _texts(self, guard: Guard, asks_of: frozenset[str]) -> Iterator[str]:
        if isinstance(guard.check, IsMissing) and isinstance(guard.source, Attribute | Member):
            yield f"not hasattr({ast.unparse(self._place(guard.source.base))}, {guard.source.name!r})"
            return
        place, check = ast.unparse(self._place(guard.source)), guard.check
        match check:
            case IsTensor(type=kind):
                yield from _of_tensor(place, kind, asks_of)
            case IsValue(value) if value is True or value is False:
                yield f"{place} is {value}"
            case IsValue(value) if type(value) in (int, float):
                yield f"type({place}) is {type(value).__name__} and {place} == {self._written(value)}"
            case IsValue(value):
                yield f"{place} == {self._written(value)}"
            case IsObject(thing):
                yield f"{place} is {self._written(thing)}"
            case IsSame(other):
                yield f"{place} is {ast.unparse(self._place(other))}"
            case Differs(others):
                yield from (f"{place} is not {ast.unparse(self._place(other))}" for other in others)
            case HasForm(cls, length, keys):
                yield from self._of_form(place, cls, length, keys)
            case _:
                raise D2SError(f"what the program assumes of {place} can't be written as source")

    def _of_form(self, place: str, cls: type, length: int | None, keys: tuple[Any, ...] | None) -> Iterator[str]:
        if cls in _KINDS:
            yield f"type({place}) is {cls.__name__}"
        if length is not None:
            yield f"len({place}) == {length}"
        if keys is not None:
            yield f"list({place}) == {self._written(list(keys))}"

    def _written(self, thing: Any) -> str:
        return ast.unparse(self._trees.tree(thing))


def _of_tensor(place: str, kind: TensorType, asks_of: frozenset[str]) -> Iterator[str]:
    if None not in kind.shape:
        yield f"{place}.shape == {tuple(kind.shape)}"
    else:
        yield f"{place}.dim() == {len(kind.shape)}"
        yield from (f"{place}.size({at}) == {size}" for at, size in enumerate(kind.shape) if size is not None)
    if "dtypes" in asks_of or not kind.dtype.is_floating_point:
        yield f"{place}.dtype == {kind.dtype}"
    if "gradients" in asks_of:
        yield f"{place}.requires_grad is {kind.requires_grad}"

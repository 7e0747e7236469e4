"""Makes arguments that the guards of a program let in, for what is compiled from examples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from d2s.runtime.ir.sources import Argument, Item, Source
from d2s.runtime.recording.checks import Check, Differs, Guard, HasForm, IsObject, IsSame, IsTensor, IsValue
from d2s.runtime.recording.structures import maker_of


def example_arguments(
    guards: Iterable[Guard],
    parameters: Sequence[str],
    tensor: Callable[[IsTensor], torch.Tensor] = IsTensor.example,
) -> dict[str, Any]:
    """One argument for each of these parameters; `tensor` makes the tensors in them."""
    examples = _Examples(guards, tensor)
    return {name: examples.made(Argument(name)) for name in parameters}


class _Examples:
    def __init__(self, guards: Iterable[Guard], tensor: Callable[[IsTensor], torch.Tensor]):
        self._checks: dict[Source, Check] = {
            guard.source: guard.check for guard in guards if not isinstance(guard.check, Differs)
        }
        self._tensor = tensor
        self._made: dict[Source, Any] = {}

    def made(self, source: Source) -> Any:
        """What is at a path."""
        if source not in self._made:
            self._made[source] = self._make(source)
        return self._made[source]

    def _make(self, source: Source) -> Any:
        match self._checks.get(source):
            case IsValue(value) | IsObject(value):
                return value
            case IsSame(other):
                return self.made(other)
            case IsTensor() as check:
                return self._tensor(check)
            case HasForm(cls, _, keys) if keys is not None:
                return cls((key, self.made(Item(source, key))) for key in keys)
            case HasForm(cls, length) if length is not None and issubclass(cls, list | tuple):
                return maker_of(cls)([self.made(Item(source, index)) for index in range(length)])
            case HasForm(cls):
                return cls()
        return None

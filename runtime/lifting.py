"""Finds where an object of the user's is reached from, so that a program can read it again at each call."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from d2s.runtime.program import Role
from d2s.runtime.sources import Attribute, Item, Source

_NUMBERS_AND_TEXTS = (bool, int, float, complex, str, bytes, type(None))
_LEAVES = (*_NUMBERS_AND_TEXTS, torch.dtype, torch.device, type, types.ModuleType)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
# Objects whose `__dict__` is not searched: they have none, or what it holds is not the user's state.
_WITHOUT_ATTRIBUTES = (list, tuple, dict, deque, *_FUNCTIONS)


class Reachable:
    """The user's objects that can be reached from some roots, each with the first path found to it.

    Paths are found breadth first, so that the shortest one names an object.
    """

    def __init__(self) -> None:
        self._sources: dict[int, Source] = {}
        self._roots: list[tuple[Source, Any]] = []
        self._keep: list[Any] = []

    def add_root(self, source: Source, value: Any) -> None:
        """Also search from `value`."""
        self._roots.append((source, value))
        self._search([(source, value)])

    def find(self, value: Any) -> Source | None:
        """The path to this very object, or None."""
        found = self._sources.get(id(value))
        if found is None:
            self._sources.clear()
            self._search(self._roots)
            found = self._sources.get(id(value))
        return found

    def _search(self, starts: list[tuple[Source, Any]]) -> None:
        queue = deque(starts)
        while queue:
            source, value = queue.popleft()
            if isinstance(value, _LEAVES) or id(value) in self._sources:
                continue
            self._sources[id(value)] = source
            self._keep.append(value)
            queue.extend(_parts(source, value))


def _parts(source: Source, value: Any) -> Iterator[tuple[Source, Any]]:
    """What an object holds directly, with the path to each."""
    if isinstance(value, torch.Tensor):
        return
    if isinstance(value, Mapping):
        yield from ((Item(source, key), item) for key, item in value.items())
    elif isinstance(value, list | tuple | deque):
        yield from ((Item(source, index), item) for index, item in enumerate(value))
    elif isinstance(value, types.MethodType):
        yield Attribute(source, "__self__"), value.__self__
    elif isinstance(value, torch.nn.Module):
        for members in (value._parameters, value._buffers, value._modules):
            yield from ((Attribute(source, name), item) for name, item in members.items())
    if not isinstance(value, _WITHOUT_ATTRIBUTES):
        yield from ((Attribute(source, name), item) for name, item in getattr(value, "__dict__", {}).items())


def role_of(tensor: torch.Tensor, source: Source | None) -> Role:
    """What a tensor is to the user."""
    if isinstance(tensor, torch.nn.Parameter):
        return Role.PARAMETER
    return Role.CONSTANT if source is None else Role.ARGUMENT

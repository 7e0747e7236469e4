"""Finds where an object of the user's is reached from, so that a program can read it again at each call."""

from __future__ import annotations

import types
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from d2s.runtime.ir.program import Role
from d2s.runtime.ir.sources import Attribute, Cell, Global, Item, Member, Source, free_variables, is_empty, read

_LEAVES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, types.MethodType)
# Objects whose `__dict__` is not searched: they have none, or what it holds is not the user's state.
_WITHOUT_ATTRIBUTES = (list, tuple, dict, deque, *_FUNCTIONS)


class Reachable:
    """The user's objects that can be reached from some roots, each with the first path found to it.

    Paths are found breadth first, so that the shortest one names an object. Cells count as objects.
    """

    def __init__(self) -> None:
        self._sources: dict[int, Source] = {}
        self._roots: dict[Source, None] = {}
        self._keep: list[Any] = []

    def add_root(self, source: Source, value: Any) -> None:
        """Also search from `value`."""
        if source not in self._roots:
            self._roots[source] = None
            self._search([(source, value)])

    def add_function(self, function: Any) -> None:
        """Also search from the variables from outside that a function names."""
        for source in free_variables(function).values():
            self._note(source)
            self.add_root(source, read(source, {}))

    def add_globals(self, function: Any) -> None:
        """Also search from the globals that a function names."""
        for source in free_variables(function).values():
            if isinstance(source, Global):
                self.add_root(source, read(source, {}))

    def find(self, value: Any) -> Source | None:
        """The path to this very object, or None."""
        return self._sources.get(id(value))

    def roots(self) -> list[Source]:
        """Where the search began."""
        return list(self._roots)

    def _note(self, source: Source) -> None:
        if isinstance(source, Cell):
            self._sources.setdefault(id(source.cell), source)
            self._keep.append(source.cell)

    def _search(self, starts: list[tuple[Source, Any]]) -> None:
        queue = deque(starts)
        while queue:
            source, value = queue.popleft()
            if isinstance(value, _LEAVES) or id(value) in self._sources:
                continue
            self._sources[id(value)] = source
            self._keep.append(value)
            queue.extend(parts_of(source, value))


def parts_of(source: Source, value: Any) -> Iterator[tuple[Source, Any]]:
    """What an object holds directly, with the path to each."""
    if isinstance(value, torch.Tensor | type | types.ModuleType) or type(value).__module__.startswith("d2s."):
        return
    if isinstance(value, torch.nn.Module):
        for table in ("_parameters", "_buffers", "_modules"):
            for name, item in getattr(value, table).items():
                yield Member(source, table, name), item
    if isinstance(value, Mapping):
        yield from ((Item(source, key), item) for key, item in value.items())
    elif isinstance(value, list | tuple | deque):
        yield from ((Item(source, index), item) for index, item in enumerate(value))
    elif isinstance(value, types.MethodType):
        yield Attribute(source, "__self__"), value.__self__
    elif isinstance(value, types.FunctionType):
        cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        yield from ((Cell(cell, name), cell.cell_contents) for name, cell in cells if not is_empty(cell))
    if not isinstance(value, _WITHOUT_ATTRIBUTES):
        yield from ((Attribute(source, name), item) for name, item in getattr(value, "__dict__", {}).items())


def role_of(tensor: torch.Tensor, source: Source | None) -> Role:
    """What a tensor is to the user."""
    if isinstance(tensor, torch.nn.Parameter):
        return Role.PARAMETER
    if isinstance(source, Member) and source.table == "_buffers":
        return Role.BUFFER
    return Role.CONSTANT if source is None else Role.ARGUMENT

"""What a program assumes of the objects that it is given, found when it is captured.

A guard is a path to an object and what must hold of it. Numbers, texts and what else the recording may have read as a
constant must be what they were; tensors must be of the type that they were; containers must have the same form.
"""

from __future__ import annotations

import enum
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from d2s.runtime.ir.program import Program, Role, TensorType
from d2s.runtime.ir.sources import Source, read
from d2s.runtime.recording.lifting import Reachable, parts_of

_BY_VALUE = (bool, int, float, complex, str, bytes, torch.dtype, torch.device)
_BY_IDENTITY = (type(None), type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, enum.Enum)
# Of the standard library's objects only those that hold the user's state are looked into: a logger keeps a cache.
_OPAQUE = sys.stdlib_module_names - {"builtins", "collections", "functools", "types"}
# Attributes of a module that torch keeps for itself; hooks are code, and guarded by whether there are any.
_TABLES = frozenset({"_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_is_full_backward_hook"})


@dataclass(frozen=True)
class IsValue:
    """Equal, and of the same type."""

    value: Any


@dataclass(frozen=True)
class IsObject:
    """This very object."""

    thing: Any


@dataclass(frozen=True)
class IsTensor:
    """A tensor of this class and type, a leaf of the graph of gradients or not.

    `has_grad` is whether it has a gradient already, None where the function does not ask.
    """

    cls: type
    type: TensorType
    leaf: bool
    has_grad: bool | None = None


@dataclass(frozen=True)
class HasForm:
    """An object of this class; `length` is that of a sequence, `keys` are those of a dict, in order."""

    cls: type
    length: int | None = None
    keys: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class IsSame:
    """The very object that another path leads to."""

    other: Source


Check = IsValue | IsObject | IsTensor | HasForm | IsSame


@dataclass(frozen=True)
class Guard:
    """What must hold of the object at a path."""

    source: Source
    check: Check

    def __str__(self) -> str:
        return f"{self.source}: {self.check}"


def program_guards(
    reachable: Reachable, program: Program, arguments: Mapping[str, Any], asked_for_grad: set[int]
) -> list[Guard]:
    """The guards of a program that was captured for these arguments, which are as they were before.

    `asked_for_grad` holds the ids of the tensors whose gradient the function looks at.
    """
    counters = {entry.source for entry in program.inputs if entry.role is Role.COUNTER}
    inputs = {entry.source for entry in program.inputs}
    found: list[Guard] = []
    first: dict[int, tuple[Source, Any]] = {}
    queue = deque((source, read(source, arguments)) for source in reachable.roots())
    while queue:
        source, thing = queue.popleft()
        if source in counters:
            continue
        if id(thing) in first:
            found.append(Guard(source, IsSame(first[id(thing)][0])))
            continue
        check, inside = _check(source, thing, source in inputs)
        if isinstance(check, IsTensor) and id(thing) in asked_for_grad:
            check = replace(check, has_grad=thing.grad is not None)
        found.append(Guard(source, check))
        if not isinstance(check, IsValue | IsObject):
            first[id(thing)] = source, thing
        queue.extend(inside)
    return found


def _check(source: Source, thing: Any, is_input: bool) -> tuple[Check, list[tuple[Source, Any]]]:
    """The check of one object, and what is inside it to be checked."""
    if isinstance(thing, _BY_IDENTITY) or type(thing).__module__ in _OPAQUE:
        return IsObject(thing), []
    if isinstance(thing, _BY_VALUE):
        return IsValue(thing), []
    if isinstance(thing, torch.Tensor):
        if not is_input:
            return HasForm(type(thing)), []
        kind = TensorType(thing.dtype, tuple(thing.shape), thing.device, thing.requires_grad)
        return IsTensor(type(thing), kind, thing.is_leaf), []
    inside = list(_inside(source, thing))
    if isinstance(thing, Mapping):
        return HasForm(type(thing), keys=tuple(thing)), inside
    if isinstance(thing, list | tuple | deque | set | frozenset):
        return HasForm(type(thing), length=len(thing)), inside
    return HasForm(type(thing)), inside


def _inside(source: Source, thing: Any) -> Iterator[tuple[Source, Any]]:
    for part, item in parts_of(source, thing):
        if not isinstance(thing, torch.nn.Module) or getattr(part, "name", None) not in _TABLES:
            yield part, item

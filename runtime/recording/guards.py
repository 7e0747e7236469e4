"""What a program assumes of the objects that it is given, found when it is captured.

A guard is a path to an object and what must hold of it. Numbers, texts and what else the recording may have read as a
constant must be what they were; tensors must be of the type that they were; containers must have the same form.
"""

from __future__ import annotations

import enum
import os
import sys
import types
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from d2s.runtime.ir.program import Input, Program, TensorType
from d2s.runtime.ir.sources import Constant, Global, Member, Source, attributes_of, is_users_name, prefixes, read
from d2s.runtime.recording.journal import MISSING
from d2s.runtime.recording.lifting import LEAVES, TABLES, Reachable, attribute_source, parts_of
from d2s.runtime.recording.reads import Reads
from d2s.runtime.recording.structures import contents_of
from d2s.runtime.torch_internals.calls import GLOBAL_HOOK_TABLES

_BY_IDENTITY = (type(None), types.ModuleType, types.BuiltinFunctionType, enum.Enum)
# Where a module keeps its hooks: most have none.
_HOOKS = frozenset(name for name in vars(torch.nn.Module()) if name.endswith("_hooks"))
# Of the standard library's objects only those that hold the user's state are looked into: a logger keeps a cache.
_OPAQUE = sys.stdlib_module_names - {"builtins", "collections", "functools", "types"}
# In place of a size that is unknown.
_ANY_SIZE = 2


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
    """A tensor like this one: its class, type, strides and device, and whether it is a leaf of the gradients' graph.

    `strides` is None if they may be any; `has_grad` is whether it has a gradient already, None where the function
    does not ask.
    """

    cls: type
    type: TensorType
    strides: tuple[int, ...] | None
    leaf: bool
    has_grad: bool | None = None

    def example(self) -> torch.Tensor:
        """A tensor like this one, with anything in it."""
        shape = [_ANY_SIZE if size is None else size for size in self.type.shape]
        if self.strides is None:
            return self._of_class(torch.empty(shape, dtype=self.type.dtype, device=self.type.device))
        return self._of_class(
            torch.empty_strided(shape, self.strides, dtype=self.type.dtype, device=self.type.device)
        )

    def stand_in(self) -> torch.Tensor:
        """A tensor of this class and type, whose elements take no memory and whose strides are none of these."""
        shape = [_ANY_SIZE if size is None else size for size in self.type.shape]
        return self._of_class(torch.empty((), dtype=self.type.dtype, device=self.type.device).expand(shape))

    def _of_class(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor.requires_grad_(self.type.requires_grad)
        if self.cls is torch.nn.Parameter:
            return torch.nn.Parameter(tensor, self.type.requires_grad)
        return tensor if self.cls is torch.Tensor else tensor.as_subclass(self.cls)


@dataclass(frozen=True)
class HasForm:
    """An object of this class; `length` is that of a sequence, `keys` are those of a dict, in order."""

    cls: type
    length: int | None = None
    keys: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class IsMissing:
    """There is nothing at the path: no attribute, or none of the module itself that would hide its class's."""


@dataclass(frozen=True)
class IsEmpty:
    """A table of hooks without any."""


@dataclass(frozen=True)
class HasContents:
    """A block of numbers, such as an array of numpy's, that holds these."""

    cls: type
    contents: tuple[Any, ...]


@dataclass(frozen=True)
class IsSame:
    """The very object that another path leads to."""

    other: Source


Check = IsValue | IsObject | IsTensor | HasForm | HasContents | IsSame | IsMissing | IsEmpty


@dataclass(frozen=True)
class Guard:
    """What must hold of the object at a path."""

    source: Source
    check: Check

    def __str__(self) -> str:
        return f"{self.source}: {self.check}"


def program_guards(
    reachable: Reachable, program: Program, arguments: Mapping[str, Any], asked_for_grad: set[int], reads: Reads
) -> list[Guard]:
    """The guards of a program that was captured for these arguments, which are as they were before.

    `asked_for_grad` holds the ids of the tensors whose gradient the function looks at, `reads` what it read
    of modules.
    """
    found_again = (entry for entry in program.inputs if not isinstance(entry.source, Constant))
    inputs: dict[Source, Input] = {entry.source: entry for entry in found_again}
    found: dict[Source, Guard] = {}
    first: dict[int, tuple[Source, Any]] = {}
    starts = dict.fromkeys([*reachable.roots(), *(prefix for source in inputs for prefix in prefixes(source))])
    queue = deque((source, read(source, arguments)) for source in starts)
    while queue:
        source, thing = queue.popleft()
        if source in found:
            continue
        if id(thing) in first:
            found[source] = Guard(source, IsSame(first[id(thing)][0]))
            continue
        check, inside = _check(source, thing, inputs.get(source), reads)
        if isinstance(check, IsTensor) and id(thing) in asked_for_grad:
            check = replace(check, has_grad=thing.grad is not None)
        found[source] = Guard(source, check)
        if not isinstance(check, IsValue | IsObject | IsMissing | IsEmpty) and not isinstance(thing, LEAVES):
            first[id(thing)] = source, thing
        queue.extend(inside)
    return list(found.values())


def _check(source: Source, thing: Any, entry: Input | None, reads: Reads) -> tuple[Check, list[tuple[Source, Any]]]:
    """The check of one object, and what is inside it to be checked."""
    if thing is MISSING:
        return IsMissing(), []
    if isinstance(thing, type | types.FunctionType):
        return IsObject(thing), list(parts_of(source, thing))
    contents = contents_of(thing)
    if contents is not None:
        return HasContents(type(thing), contents), []
    if isinstance(thing, _BY_IDENTITY) or (type(thing).__module__ in _OPAQUE and thing is not os.environ):
        return IsObject(thing), []
    if entry is not None and isinstance(thing, int | float):
        return HasForm(type(thing)), []  # a number that the program takes as it comes
    if isinstance(thing, LEAVES):
        return IsValue(thing), []
    if isinstance(thing, torch.Tensor):
        if entry is None:
            return HasForm(type(thing)), []
        assert isinstance(entry.value.type, TensorType)
        kind = TensorType(thing.dtype, entry.value.type.shape, thing.device, thing.requires_grad)
        is_open = None in kind.shape or thing.layout is not torch.strided
        strides = None if is_open else thing.stride()
        return IsTensor(type(thing), kind, strides, thing.is_leaf), []
    if isinstance(thing, torch.nn.Module):
        return HasForm(type(thing)), list(_read_of_module(source, thing, reads.of(thing)))
    if _is_table_of_hooks(source) and not thing:
        return IsEmpty(), []
    inside = list(_members(source, thing) if isinstance(source, Member) else parts_of(source, thing))
    if isinstance(thing, Mapping):
        return HasForm(type(thing), keys=tuple(thing)), inside
    if isinstance(thing, list | tuple | deque | set | frozenset):
        return HasForm(type(thing), length=len(thing)), inside
    return HasForm(type(thing)), inside


def _is_table_of_hooks(source: Source) -> bool:
    if isinstance(source, Global):
        return source.name in GLOBAL_HOOK_TABLES
    return isinstance(source, Member) and not source.table and source.name in _HOOKS


def _members(source: Member, thing: Any) -> Iterator[tuple[Source, Any]]:
    """What an attribute of a module holds; its tables hold attributes."""
    if source.table or source.name not in TABLES:
        yield from parts_of(source, thing)
    else:
        yield from ((Member(source.base, source.name, name), item) for name, item in thing.items())


def _read_of_module(source: Source, module: torch.nn.Module, names: set[str]) -> Iterator[tuple[Source, Any]]:
    """What a recording has read of a module, with the path to each; MISSING for what it has not."""
    own = attributes_of(module)
    if "__dict__" in names:
        names = names | own.keys()
    for name in sorted(names - {"__dict__", "__class__"}):
        path = attribute_source(source, module, name)
        if isinstance(path, Member):
            yield path, path.of(module)
            continue
        owner = next((cls for cls in type(module).__mro__ if name in vars(cls)), None)
        if owner is None:
            yield path, MISSING
        elif is_users_name(owner.__module__) and not hasattr(vars(owner)[name], "__get__"):
            yield path, vars(owner)[name]
        elif name == "forward" or not callable(vars(owner)[name]) or is_users_name(owner.__module__):
            yield Member(source, "", name), MISSING

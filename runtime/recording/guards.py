"""What a program assumes of the objects that it is given, found when it is captured.

A guard is a path to an object and what must hold of it. Numbers, texts and what else the recording may have read as a
constant must be what they were; tensors must be of the type that they were; containers must have the same form.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.ir.program import Input, Program, TensorType
from d2s.runtime.ir.sources import Attribute, Constant, Global, Member, Source, prefixes, read
from d2s.runtime.recording.attributes import looked_up
from d2s.runtime.recording.checks import (
    Check,
    Guard,
    HasForm,
    HasText,
    IsEmpty,
    IsMissing,
    IsObject,
    IsSame,
    IsTensor,
    IsValue,
)
from d2s.runtime.recording.journal import MISSING
from d2s.runtime.recording.kinds import is_value, kind_of
from d2s.runtime.recording.lifting import TABLES, Reachable, class_data
from d2s.runtime.recording.reads import Reads, is_watched
from d2s.runtime.torch_internals.calls import GLOBAL_HOOK_TABLES

# Where a module keeps its hooks: most have none.
_HOOKS = frozenset(name for name in vars(torch.nn.Module()) if name.endswith("_hooks"))


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
        if not isinstance(check, IsValue | HasText | IsObject | IsMissing | IsEmpty) and not is_value(thing):
            first[id(thing)] = source, thing
        queue.extend(inside)
    return list(found.values())


def _check(source: Source, thing: Any, entry: Input | None, reads: Reads) -> tuple[Check, list[tuple[Source, Any]]]:
    """The check of one object, and what is inside it to be checked."""
    if thing is MISSING:
        return IsMissing(), []
    if entry is not None and isinstance(thing, int | float):
        return HasForm(type(thing)), []  # a number that the program takes as it comes
    if isinstance(thing, torch.Tensor):
        return _tensor(thing, entry), []
    if isinstance(thing, torch.nn.Module):
        return HasForm(type(thing)), list(looked_up(source, thing, reads.of(thing)))
    if _is_table_of_hooks(source) and not thing:
        return IsEmpty(), []
    kind = kind_of(type(thing))
    if kind is None and not is_watched(type(thing)):
        return IsObject(thing), []
    inside = [*_parts(source, thing), *looked_up(source, thing, reads.of(thing))]
    return HasForm(type(thing)) if kind is None else kind.check(thing), inside


def _parts(source: Source, thing: Any) -> Iterable[tuple[Source, Any]]:
    """What is in an object; the tables of a module hold attributes."""
    if isinstance(source, Member) and not source.table and source.name in TABLES:
        return [(Member(source.base, source.name, name), item) for name, item in thing.items()]
    if isinstance(thing, type):
        return [(Attribute(source, name), item) for name, item in class_data(thing).items()]
    kind = kind_of(type(thing))
    return () if kind is None else kind.parts(source, thing)


def _tensor(tensor: torch.Tensor, entry: Input | None) -> Check:
    if entry is None:
        return HasForm(type(tensor))
    assert isinstance(entry.value.type, TensorType)
    kind = TensorType(tensor.dtype, entry.value.type.shape, tensor.device, tensor.requires_grad)
    is_open = None in kind.shape or tensor.layout is not torch.strided
    return IsTensor(type(tensor), kind, None if is_open else tensor.stride(), tensor.is_leaf)


def _is_table_of_hooks(source: Source) -> bool:
    if isinstance(source, Global):
        return source.name in GLOBAL_HOOK_TABLES
    return isinstance(source, Member) and not source.table and source.name in _HOOKS

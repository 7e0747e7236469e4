"""What differs between the calls of a static function: found by comparing a call with what its programs assume."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from d2s.runtime.backend.execution import Executable
from d2s.runtime.ir.sources import LOST, Source, read
from d2s.runtime.recording.checks import Guard, HasForm, IsTensor, IsValue
from d2s.runtime.recording.dynamic import Dynamic, is_part_of_arguments, location_of


def varying(executables: Iterable[Executable], arguments: Mapping[str, Any]) -> Dynamic:
    """The sizes and numbers of this call that are others than those of the calls that programs were captured for."""
    dimensions: dict[Source, frozenset[int]] = {}
    numbers: set[Source] = set()
    for executable in executables:
        for guard in executable.guards:
            try:
                now = read(guard.source, arguments)
            except LOST:
                continue
            if isinstance(guard.check, IsTensor):
                found = dimensions.get(guard.source, frozenset()) | _sizes(guard.check, now)
                if found:
                    dimensions[guard.source] = found
            elif _is_other_number(guard, now, arguments):
                numbers.add(guard.source)
    return Dynamic(dimensions, frozenset(numbers))


def _sizes(check: IsTensor, now: Any) -> frozenset[int]:
    """The dimensions that differ, with those that are open already, of a tensor that is alike in all else."""
    alike = isinstance(now, torch.Tensor) and type(now) is check.cls and type(now) is not torch.nn.Parameter
    if not alike or now.dtype != check.type.dtype or now.dim() != len(check.type.shape) or not now.is_contiguous():
        return frozenset()
    sizes = enumerate(zip(check.type.shape, now.shape, strict=True))
    return frozenset(dimension for dimension, (before, size) in sizes if before != size)


def _is_other_number(guard: Guard, now: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether an int or float differs, or was taken as it comes, where a program can take it as it comes."""
    check = guard.check
    if type(now) not in (int, float):
        return False
    if isinstance(check, IsValue):
        if type(check.value) is not type(now) or check.value == now:
            return False
    elif not (isinstance(check, HasForm) and check.cls is type(now)):
        return False
    location = location_of(guard.source, arguments)
    if location is None:
        return is_part_of_arguments(guard.source, arguments)
    return location.is_plain() and type(location.read()) is type(now)


def what_varies(executables: Sequence[Executable], most: int = 5) -> str:
    """The paths at which programs assume different things, for a message."""
    seen: dict[Source, set[str]] = {}
    for executable in executables:
        for guard in executable.guards:
            seen.setdefault(guard.source, set()).add(str(guard.check))
    names = [str(source) for source, checks in seen.items() if len(checks) > 1]
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")

"""Edits of the state of a program, each there while it is entered and then taken back."""

from __future__ import annotations

import contextlib
import enum
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from reach import TABLES, attributes


@contextmanager
def put(owner: Any, name: Any, value: Any) -> Iterator[None]:
    """Meanwhile an attribute is another."""
    own = _has_itself(owner, name)
    before = vars(owner).get(name) if isinstance(owner, type) else getattr(owner, name, None)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, before)
        else:
            with contextlib.suppress(AttributeError):
                delattr(owner, name)


def _has_itself(owner: Any, name: str) -> bool:
    """Whether an object has an attribute that is not one of its class."""
    tables = [getattr(owner, table, {}) for table in TABLES]
    is_described = hasattr(getattr(type(owner), name, None), "__set__")
    return (
        name in vars(owner)
        if isinstance(owner, type)
        else (is_described or name in attributes(owner) or any(name in table for table in tables))
    )


@contextmanager
def taken_away(owner: Any, name: str) -> Iterator[None]:
    """Meanwhile an attribute is not there."""
    before = getattr(owner, name)
    delattr(owner, name)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def at(items: list[Any], place: int, value: Any) -> Iterator[None]:
    """Meanwhile an item of a list is another."""
    before, items[place] = items[place], value
    try:
        yield
    finally:
        items[place] = before


@contextmanager
def holding(container: Any, contents: Any) -> Iterator[None]:
    """Meanwhile a container holds something else."""
    before = container.copy()
    _fill(container, contents)
    try:
        yield
    finally:
        _fill(container, before)


def _fill(container: Any, contents: Any) -> None:
    container.clear()
    (container.extend if isinstance(container, list | deque) else container.update)(contents)


@contextmanager
def in_cell(cell: types.CellType, value: Any) -> Iterator[None]:
    """Meanwhile a variable of an outer function is another."""
    before, cell.cell_contents = cell.cell_contents, value
    try:
        yield
    finally:
        cell.cell_contents = before


def others(value: Any) -> list[Any]:
    """Things that a value can be replaced by, unlike it; none where it is not known what would be alike."""
    if isinstance(value, enum.Enum):
        return [other for other in type(value) if other is not value][:1]
    if isinstance(value, bool):
        return [not value, int(value)]
    if isinstance(value, int | float):
        return [value + 1, float(value)] if type(value) is int else [value * 0.75 + 0.1, int(value) + 2]
    if isinstance(value, str):
        return [value + "x"]
    if value is None:
        return [1]
    if isinstance(value, range):
        return [range(value.start, value.stop + value.step, value.step)]
    if isinstance(value, slice):
        return [slice(value.start, value.stop, (value.step or 1) + 1)]
    if isinstance(value, torch.dtype):
        return [torch.float64 if value is not torch.float64 else torch.float32]
    if type(value) is tuple:
        return [(*value[:at], other, *value[at + 1 :]) for at, item in enumerate(value) for other in others(item)[:1]]
    if isinstance(value, frozenset):
        return [value | {99}]
    if isinstance(value, torch.Tensor) and not isinstance(value, torch.nn.Parameter):
        return _other_tensors(value.detach()) if value.is_floating_point() else [value.clone()[None]]
    return []


@contextmanager
def default_dtype() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def _other_tensors(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Tensors of another dtype, rank, size and layout, and one that has a gradient."""
    found = [tensor.double(), tensor.clone()[None], tensor.clone().requires_grad_()]
    if tensor.ndim:
        spread = torch.stack([tensor, tensor], -1)[..., 0]
        found += [torch.cat([tensor, tensor]), spread, tensor[:0].clone()]
    return found


@contextmanager
def with_more(array: np.ndarray) -> Iterator[None]:
    """Meanwhile every number of an array is one more."""
    before = array.copy()
    array[...] = array + 1
    try:
        yield
    finally:
        array[...] = before


@contextmanager
def hooked(register: Callable[[Any], Any], hook: Any) -> Iterator[None]:
    """Meanwhile a hook is registered."""
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


def doubles(module: Any, args: Any, answer: Any) -> Any:
    """A forward hook that doubles the answer."""
    return answer * 2 if isinstance(answer, torch.Tensor) else None


def nothing(module: Any, args: Any) -> None:
    """A pre-forward hook that does nothing."""


def twice(function: Any) -> Any:
    """A function that gives twice what another gives."""

    def doubled(*args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        return answer * 2 if isinstance(answer, torch.Tensor) else answer

    return doubled


def other_codes(code: types.CodeType) -> list[types.CodeType]:
    """The same code with another number in it, or with another name."""
    numbers = [at for at, item in enumerate(code.co_consts) if type(item) in (int, float)]
    found = []
    for at in numbers[:2]:
        consts = (*code.co_consts[:at], code.co_consts[at] + 1, *code.co_consts[at + 1 :])
        found.append(code.replace(co_consts=consts))
    return found


@contextmanager
def in_state(thing: Any, state: Any) -> Iterator[None]:
    """Meanwhile an object is in another state of those that it can be pickled in."""
    before = thing.__reduce__()[2]
    thing.__setstate__(state)
    try:
        yield
    finally:
        thing.__setstate__(before)


@contextmanager
def seeded(generator: torch.Generator) -> Iterator[None]:
    """Meanwhile a generator gives other numbers."""
    before = generator.get_state()
    generator.manual_seed(99)
    try:
        yield
    finally:
        generator.set_state(before)

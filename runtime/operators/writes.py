"""The operators for writes to objects: they tell the journal first."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.recording.journal import CONTAINERS, AttributeLocation, ContentsLocation
from d2s.runtime.recording.recorder import active_recorder

_UPDATES: dict[str, Callable[[Any, Any], Any]] = {
    "+=": operator.iadd,
    "-=": operator.isub,
    "*=": operator.imul,
    "/=": operator.itruediv,
    "//=": operator.ifloordiv,
    "%=": operator.imod,
    "**=": operator.ipow,
    "@=": operator.imatmul,
    "&=": operator.iand,
    "|=": operator.ior,
    "^=": operator.ixor,
    "<<=": operator.ilshift,
    ">>=": operator.irshift,
}


def note_contents(container: Any) -> None:
    """Tell the journal that a container is about to change."""
    recorder = active_recorder()
    if recorder is not None and isinstance(container, CONTAINERS):
        recorder.journal.note(ContentsLocation(container))


def _note_attribute(owner: Any, name: str) -> None:
    recorder = active_recorder()
    if recorder is not None and not isinstance(owner, torch.Tensor):
        recorder.journal.note(AttributeLocation(owner, name))


def set_attribute(value: Any, owner: Any, name: str) -> None:
    """`owner.name = value`."""
    _note_attribute(owner, name)
    setattr(owner, name, value)


def delete_attribute(owner: Any, name: str) -> None:
    """`del owner.name`."""
    _note_attribute(owner, name)
    delattr(owner, name)


def update_attribute(owner: Any, name: str, symbol: str, value: Any) -> None:
    """`owner.name += value` and the like."""
    set_attribute(update(getattr(owner, name), symbol, value), owner, name)


def set_item(value: Any, owner: Any, key: Any) -> None:
    """`owner[key] = value`."""
    note_contents(owner)
    owner[key] = value


def delete_item(owner: Any, key: Any) -> None:
    """`del owner[key]`."""
    note_contents(owner)
    del owner[key]


def update_item(owner: Any, key: Any, symbol: str, value: Any) -> None:
    """`owner[key] += value` and the like."""
    set_item(update(owner[key], symbol, value), owner, key)


def update(old: Any, symbol: str, value: Any) -> Any:
    """What `old += value` and the like bind; lists, sets and tensors are changed in place."""
    note_contents(old)
    return _UPDATES[symbol](old, value)

"""The operators for writes to objects: they tell the journal first."""

from __future__ import annotations

import inspect
import operator
import os
import types
from collections.abc import Callable, Iterable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import Constant, is_users_class, original_of, owner_of
from d2s.runtime.operators.items import get_item, need_list, need_table, set_at_position
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.locations import for_the_user, is_users_function, user_location
from d2s.runtime.recording.places import CONTAINERS, AttributeLocation, ContentsLocation
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged, is_unanswered
from d2s.runtime.recording.structures import is_block
from d2s.runtime.recording.tags import is_tag

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

# The methods of containers that change nothing.
READERS = frozenset("copy count get index items keys values isdisjoint issubset issuperset".split())


def note_contents(container: Any) -> None:
    """Tell the journal that a container is about to change."""
    recorder = active_recorder()
    if recorder is not None and isinstance(container, CONTAINERS) and not is_staged(container):
        recorder.merged.check_unwritten(container)
        recorder.journal.note(ContentsLocation(container))


def note_attribute(owner: Any, name: str) -> None:
    """Tell the journal that an attribute is about to change."""
    recorder = active_recorder()
    if recorder is None:
        return
    original = original_of(owner)
    if isinstance(original, types.FunctionType):
        owner = original  # it has the attributes of a static function
    if isinstance(owner, torch.Tensor):
        if not is_tag(owner, name):
            return
        recorder.tags.note(owner, name)
    if isinstance(owner, types.CellType):
        raise unseen("a variable of a function is written through its cell")
    if not _writes_itself(owner, name):
        recorder.merged.check_unwritten(owner)
        if isinstance(owner, type) and "<locals>" not in owner.__qualname__:
            recorder.reachable.add_root(Constant(owner, owner.__name__), owner)
        recorder.journal.note(AttributeLocation(owner, name))


def _writes_itself(owner: Any, name: str) -> bool:
    """Whether an attribute has a setter of the user's, whose converted code tells of its writes, or can't be set."""
    of_class = inspect.getattr_static(type(owner), name, None)
    setter = of_class.fset if isinstance(of_class, property) else getattr(type(of_class), "__set__", None)
    if setter is None and isinstance(of_class, property):
        return True
    holder = owner_of(type(owner), name)
    if setter is None or holder is None or not is_users_class(holder):
        return False
    return is_users_function(inspect.unwrap(setter))


def unseen(what: str) -> CaptureError:
    """What to raise where an object is changed, or kept, of which the journal can't tell."""
    return CaptureError("D2S307", what, "use a tensor, an attribute, a list or a dict", user_location())


def block_changed(block: Any) -> BaseException:
    """What to raise where a block of numbers is changed, such as an array of numpy's."""
    recorder = active_recorder()
    found = recorder.arrays.found(block) if recorder is not None else None
    return found or unseen(f"a {type(block).__name__} is changed, which d2s can't do again at each run")


def _refuse_block(owner: Any) -> None:
    """Go on only if an object is no block of numbers, such as an array of numpy's.

    Raises:
        CaptureError: it is.
    """
    if active_recorder() is not None and is_block(owner):
        raise block_changed(owner)


def note_object(owner: Any) -> None:
    """Tell the journal that an object is about to change, in its attributes or in the containers there."""
    if is_staged(owner):
        return
    note_contents(owner)
    _refuse_block(owner)
    if active_recorder() is not None and owner is os.environ:
        reason = "a variable of the environment is changed, which the other programs see"
        raise CaptureError("D2S308", reason, "change it before the static function or after")
    if active_recorder() is None or isinstance(owner, torch.nn.Module | torch.Tensor | type | types.ModuleType):
        return
    attributes = getattr(owner, "__dict__", {})
    note_contents(attributes)
    for held in attributes.values():
        note_contents(held)
        for inner in _items_of(held):
            note_contents(inner)


def _items_of(held: Any) -> Iterable[Any]:
    """What a container holds."""
    if isinstance(held, dict):
        return held.values()
    return held if isinstance(held, list | tuple) else ()


def set_attribute(value: Any, owner: Any, name: str) -> None:
    """`owner.name = value`."""
    note_attribute(owner, name)
    try:
        setattr(owner, name, value)
    except TypeError:
        if is_unanswered(value):  # such as the name of a function
            raise value.needed() from None
        raise


def set_named(owner: Any, name: str, value: Any) -> None:
    """`setattr(owner, name, value)`."""
    set_attribute(value, owner, name)


def delete_attribute(owner: Any, name: str) -> None:
    """`del owner.name`."""
    note_attribute(owner, name)
    delattr(owner, name)


@for_the_user
def update_attribute(owner: Any, name: str, symbol: str, value: Any) -> None:
    """`owner.name += value` and the like."""
    set_attribute(update(getattr(owner, name), symbol, value), owner, name)


def set_item(value: Any, owner: Any, key: Any) -> None:
    """`owner[key] = value`."""
    need_table(owner, key)
    note_object(owner)
    recorder = recorder_for(key)
    if recorder is not None and type(owner) is list and set_at_position(recorder, owner, key, value):
        return
    owner[key] = value


def delete_item(owner: Any, key: Any) -> None:
    """`del owner[key]`."""
    need_table(owner, key)
    need_list(owner, key)
    note_object(owner)
    del owner[key]


def update_item(owner: Any, key: Any, symbol: str, value: Any) -> None:
    """`owner[key] += value` and the like."""
    set_item(update(get_item(owner, key), symbol, value), owner, key)


def update(old: Any, symbol: str, value: Any) -> Any:
    """What `old += value` and the like bind; lists, sets and tensors are changed in place."""
    note_contents(old)
    _refuse_block(old)
    return _UPDATES[symbol](old, value)

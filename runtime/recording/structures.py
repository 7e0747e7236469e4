"""Trees of the user's own containers: lists, tuples of every kind, dicts, and what torch returns."""

from __future__ import annotations

import array
import copy
import mmap
import types
from collections import OrderedDict, deque
from typing import Any

import torch

# Flags of classes that CPython documents: made while Python runs, and can't be changed.
_ON_HEAP, _UNCHANGING = 1 << 9, 1 << 8


def rebuilt(sequence: Any, items: list[Any]) -> Any:
    """A list, tuple, named tuple, Size or result of torch like `sequence`, with other items."""
    if all(old is new for old, new in zip(sequence, items, strict=True)):
        return sequence
    return maker_of(type(sequence))(items)


def maker_of(kind: type) -> Any:
    """What makes a list, tuple, named tuple, Size or result of torch of this class from its items."""
    return getattr(kind, "_make", kind)


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """The tensors of a tree of tuples, lists, dicts and what torch returns, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, tuple | list):
        return [tensor for item in tree for tensor in tensors_in(item)]
    if isinstance(tree, dict):
        return [tensor for item in tree.values() for tensor in tensors_in(item)]
    return []


_PLAIN: tuple[Any, ...] = (list, tuple, set, frozenset, deque)
_WALKED = ("__iter__", "__len__", "__getitem__", "__reversed__", "keys", "values", "items", "get")


def plain_copy(container: Any) -> Any:
    """What a container holds, in one of the plain class, by the methods of that: its own may do anything."""
    if isinstance(container, dict):
        return dict(dict_class(container).items(container))
    for plain in _PLAIN:
        if isinstance(container, plain):
            return plain(plain.__iter__(container))
    raise TypeError(f"a {type(container).__name__} is no container of Python's")


def dict_class(owner: dict[Any, Any]) -> type[dict[Any, Any]]:
    """The class in C that keeps what is in a dict: an `OrderedDict` has an order of its own."""
    return OrderedDict if isinstance(owner, OrderedDict) else dict


def walks_itself(cls: Any) -> bool:
    """Whether a class of containers, written in Python, says itself how it is walked through."""
    if not issubclass(cls, (dict, *_PLAIN)):
        return False
    return any(name in vars(base) for base in filter(can_change, cls.__mro__) for name in _WALKED)


def can_change(cls: type) -> bool:
    """Whether a class was made while Python runs, and what is in it can be replaced."""
    return bool(cls.__flags__ & _ON_HEAP) and not cls.__flags__ & _UNCHANGING


def contents_of(thing: Any) -> tuple[Any, ...] | None:
    """The kind, form and bytes of a block of numbers that can change, such as an array of numpy's; else None."""
    view = _view_of(thing)
    return None if view is None else (view.format, view.shape, view.tobytes())


def copied_block(block: Any) -> Any:
    """A copy of a block of numbers."""
    return block[:] if isinstance(block, mmap.mmap) else copy.copy(block)


def is_block(thing: Any) -> bool:
    """Whether this is a block of numbers that can change, such as an array of numpy's."""
    return _view_of(thing) is not None


def is_array(thing: Any) -> bool:
    """Whether this is an array of numpy's or Python's, or a `bytearray`."""
    return isinstance(thing, bytearray | array.array) or (is_block(thing) and hasattr(thing, "flags"))


def holds_objects(thing: Any) -> bool:
    """Whether this is an array of objects."""
    return bool(getattr(getattr(thing, "dtype", None), "hasobject", False))


def objects_of(array: Any) -> list[Any]:
    """What an array of objects holds, in order."""
    found: list[Any] = array.ravel().tolist()
    return found


def _view_of(thing: Any) -> memoryview | None:
    if isinstance(thing, bytes | torch.Tensor):
        return None
    try:
        view = memoryview(thing)
    except (TypeError, ValueError, NotImplementedError):
        return None
    is_number = view.readonly and not view.shape
    return None if is_number else view


def slots_of(kind: type) -> list[str]:
    """The names of the slots that a class adds; a class of an extension has members that are none."""
    if "__slots__" not in vars(kind):
        return []
    return [name for name, member in vars(kind).items() if isinstance(member, types.MemberDescriptorType)]


def all_slots_of(kind: type) -> list[str]:
    """The names of the slots that a class and its bases give an object."""
    return [name for base in kind.__mro__ for name in slots_of(base)]

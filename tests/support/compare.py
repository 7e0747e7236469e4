"""Compares what two functions do."""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Callable
from dataclasses import is_dataclass
from enum import Enum
from typing import Any

import numpy
import torch


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What a call returns or raises, in a form that compares."""
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


def is_error(result: Any) -> bool:
    """Whether this is what `outcome` gives of an exception."""
    kind = result[0] if isinstance(result, tuple) and len(result) == 2 else None
    return isinstance(kind, type) and issubclass(kind, BaseException)


def failed_runs(static: Any) -> int:
    """How many runs of programs have failed, so that the function itself was run: that shows nothing of a program."""
    return sum(executable.failures for executable in static.programs)


def check_calls(function: Callable[..., Any], other: Callable[..., Any], calls: Any, tolerance: float = 0) -> None:
    """Check that two functions return or raise the same for all of these arguments, and leave the same in them."""
    for args in calls:
        theirs, mine = (copy.deepcopy(args) for _ in range(2))
        want, got = outcome(function, *theirs), outcome(other, *mine)
        assert same(want, got, tolerance), f"{got} instead of {want}"
        assert same(theirs, mine), f"arguments {mine} instead of {theirs}"


def same(left: Any, right: Any, tolerance: float = 0) -> bool:
    """Whether two results are equal in value, dtype, shape and Python type.

    Floats may differ by `tolerance`, relatively or absolutely.
    """
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and _same_tensors(left, right, tolerance)
    if type(left) is not type(right):
        return False
    if isinstance(left, numpy.ndarray):
        return left.dtype == right.dtype and numpy.array_equal(left, right)
    if isinstance(left, dict):
        return same(list(left.items()), list(right.items()), tolerance)
    if isinstance(left, tuple | list | deque):
        return len(left) == len(right) and all(same(*pair, tolerance) for pair in zip(left, right, strict=True))
    if isinstance(left, float) and tolerance:
        return abs(left - right) <= tolerance * (1 + abs(right)) or left == right or left != left != right
    if isinstance(left, Enum | type) or (type(left).__eq__ is not object.__eq__ and not is_dataclass(left)):
        return bool(left == right) or left != left
    return same(attributes(left), attributes(right), tolerance)


def _same_tensors(left: torch.Tensor, right: torch.Tensor, tolerance: float) -> bool:
    if left.dtype != right.dtype or left.shape != right.shape or left.requires_grad != right.requires_grad:
        return False
    return torch.allclose(left, right, rtol=tolerance, atol=tolerance, equal_nan=left.is_floating_point())


def attributes(thing: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots included."""
    slots = [name for kind in type(thing).__mro__ for name in vars(kind).get("__slots__", ()) if hasattr(thing, name)]
    return {**{name: getattr(thing, name) for name in slots}, **getattr(thing, "__dict__", {})}


def gradients(answer: Any, args: Any) -> list[Any]:
    """The gradients of an answer by the tensors among the arguments; none if it has no history."""
    tensors = [tensor for tensor in tensors_in(answer) if tensor.requires_grad]
    if not tensors:
        return []
    torch.stack([tensor.sum() for tensor in tensors]).sum().backward()
    return [tensor.grad for tensor in tensors_in(args)]


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """The tensors in lists, tuples and dicts of things."""
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list | tuple):
        return [tensor for item in tree for tensor in tensors_in(item)]
    return [tree] if isinstance(tree, torch.Tensor) else []


def detached(tree: Any) -> Any:
    """The same result without history."""
    if isinstance(tree, torch.Tensor):
        return tree.detach()
    if isinstance(tree, list | tuple):
        return type(tree)(map(detached, tree))
    return {key: detached(item) for key, item in tree.items()} if isinstance(tree, dict) else tree

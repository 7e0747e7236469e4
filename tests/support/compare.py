"""Compares what two functions do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def outcome(function: Callable[..., Any], *args: Any) -> Any:
    """What a call returns or raises, in a form that compares."""
    try:
        return function(*args)
    except Exception as error:
        return type(error), str(error)


def same(left: Any, right: Any) -> bool:
    """Whether two results are equal in value, dtype, shape and Python type."""
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and left.dtype == right.dtype and torch.equal(left, right)
    if isinstance(left, dict):
        return type(right) is dict and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, tuple | list):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


def detached(tree: Any) -> Any:
    """The same result without history."""
    if isinstance(tree, torch.Tensor):
        return tree.detach()
    if isinstance(tree, list | tuple):
        return type(tree)(map(detached, tree))
    return {key: detached(item) for key, item in tree.items()} if isinstance(tree, dict) else tree

"""Marks the calls that a function may make of itself as the last thing it does: such a recursion can be a loop.

def halve(x):
    if x.sum() < 1:
        return x
    return halve(x / 2)         # marked; the pass for calls makes `_d2s.tail_call(halve)(x / 2)` of it
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import Context
from d2s.transforms.scopes import map_functions


def transform(node: Any, context: Context) -> Any:
    """Mark the tail calls of every function in a tree; changes nothing else."""
    return map_functions(node, _mark)


def is_tail_call(node: Any) -> bool:
    """Whether a call is marked."""
    return getattr(node, "is_tail_call", False)


def _mark(function: Any) -> Any:
    for returned in _last_returns(function.body):
        _mark_value(returned.value, function.name)
    return function


def _last_returns(block: list[Any]) -> list[Any]:
    """The `return`s of a block after which nothing of the function is left to do: not those in a `try` or `with`."""
    found: list[Any] = []
    for node in block:
        if isinstance(node, gast.Return):
            found.append(node)
        elif isinstance(node, gast.If):
            found += [*_last_returns(node.body), *_last_returns(node.orelse)]
    return found


def _mark_value(value: Any, name: str) -> None:
    if isinstance(value, gast.IfExp):
        _mark_value(value.body, name)
        _mark_value(value.orelse, name)
    elif isinstance(value, gast.Call):
        called = value.func
        value.is_tail_call = (isinstance(called, gast.Name) and called.id == name) or (
            isinstance(called, gast.Attribute) and called.attr == name
        )

"""What the operations of a program are called: `torch.add`, `Tensor.view`, `F.linear`, `operator.add`."""

from __future__ import annotations

import builtins
import operator
import types
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
import torch.nn.functional
from torch import linalg, special

# Where to look for a function, most readable first, by how the place is written.
_PLACES: dict[str, Any] = {
    "torch": torch,
    "torch.Tensor": torch.Tensor,
    "torch.nn.functional": torch.nn.functional,
    "torch.linalg": linalg,
    "torch.special": special,
    "torch.fft": torch.fft,
    "operator": operator,
}


@cache
def _names() -> dict[Any, str]:
    """The functions by their names, as they were at first: a test may replace one for a while."""
    found: dict[Any, str] = {}
    for place_name, place in _PLACES.items():
        for name in sorted(dir(place), key=lambda name: (name.startswith("_"), name)):
            if name.startswith("_") and not name.startswith("__"):
                continue
            member = getattr(place, name, None)
            if not callable(member):
                # A property of tensors reaches the recorder as the `__get__` or `__set__` of its descriptor.
                for accessor in ("__get__", "__set__"):
                    if hasattr(member, accessor):
                        found.setdefault(getattr(member, accessor), f"{place_name}.{name}.{accessor}")
                continue
            if isinstance(member, type):
                continue
            try:
                found.setdefault(member, f"{place_name}.{name}")
            except TypeError:
                continue
    return found


def qualified_name(target: Callable[..., Any]) -> str | None:
    """How to write `target` in code that imports torch and operator; None for any other function or class."""
    if getattr(target, "__module__", None) == "builtins":
        name = getattr(target, "__qualname__", "")
        return name if getattr(builtins, name, None) is target else None
    return _names().get(target)


def place_of(target: Callable[..., Any]) -> tuple[Any, str] | None:
    """Where torch has a function, a class or a module, and its name there; None for any other function."""
    place, _, name = (qualified_name(target) or "").rpartition(".")
    return (_PLACES[place], name) if place in _PLACES else None


def is_in_its_place(target: Callable[..., Any]) -> bool:
    """Whether code that says the name of a function gets it, and not what has been put there meanwhile."""
    return place_of(target) is None or _now(target) is target


def original_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """What torch had by the name by which it has a function now: that, if somebody has put the function there.

    The functions of `torch.nn.functional` name themselves when they ask others what to do, and so name a patch.
    """
    if not isinstance(function, types.FunctionType) or function in _names():
        return function
    return next((target for target in _names() if _now(target) is function), function)


def _now(target: Callable[..., Any]) -> Any:
    place = place_of(target)
    return None if place is None else getattr(*place, None)


def display_name(target: Callable[..., Any]) -> str:
    """A name for people."""
    return qualified_name(target) or str(getattr(target, "__name__", repr(target)))


_INFIX: dict[Callable[..., Any], str] = {
    operator.add: "+",
    operator.sub: "-",
    operator.mul: "*",
    operator.truediv: "/",
    operator.floordiv: "//",
    operator.mod: "%",
    operator.pow: "**",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operator.eq: "==",
    operator.ne: "!=",
}


def infix_symbol(target: Callable[..., Any]) -> str | None:
    """The symbol that Python writes between the two operands of `target`; None for any other function."""
    return _INFIX.get(target)


def is_in_place(target: Callable[..., Any]) -> bool:
    """Whether a function of torch is, by its name, one that changes its first argument."""
    name = getattr(target, "__name__", "")
    return name.endswith("_") and not name.endswith("__")

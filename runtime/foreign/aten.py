"""The public functions of torch and Python for the operators of torch's own graphs, and the arguments that they take.

An operator such as `aten::sum.dim_IntList` has a schema, whose names and defaults are mostly those of the public
function; where they are not, `aten_special` says what is called.
"""

from __future__ import annotations

import builtins
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.archive.targets import name_of
from d2s.runtime.errors import D2SError
from d2s.runtime.foreign.aten_special import SPECIAL
from d2s.runtime.foreign.uses import Called, Operator


def called(op: Operator) -> Called:
    """The public function that an operator is, with its arguments.

    Raises:
        D2SError: there is none that a program may call.
    """
    special = SPECIAL.get(op.name)
    found = special(op) if special is not None else None
    if found is None:
        target = _on_tensors(op) if op.of_tensors else _on_python(op)
        of_torch = (name_of(target) or "").startswith("torch.")
        found = target, *(_arguments(op) if of_torch else (_by_position(op), {}))
    if name_of(found[0]) is None:
        raise D2SError(f"the operator {op.name} has no public function that a program may call")
    return found


def _arguments(op: Operator) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments that say something, by position as far as none is left out before them."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for place, (name, tree) in enumerate(op.given.items()):
        if name in op.left_out or (name in _USUAL and tree in _USUAL[name]):
            continue
        if place != len(args) or name in op.by_name:
            kwargs[name] = tree
        else:
            args.append(tree)
    return tuple(args), kwargs


# What says nothing, whatever the schema has for it.
_USUAL: dict[str, tuple[Any, ...]] = {"pin_memory": (None, False), "layout": (None, torch.strided)}


def _by_position(op: Operator) -> tuple[Any, ...]:
    """All arguments up to the last that says something: the functions of Python take no names."""
    names = list(op.given)
    said = [place for place, name in enumerate(names) if name not in op.left_out]
    return tuple(op.given[name] for name in names[: max(said, default=-1) + 1])


# ------------------------------------------------------------------ tensors

_PLACES: tuple[tuple[str, Any], ...] = (
    ("", torch.Tensor),
    ("", torch),
    ("", F),
    ("linalg_", torch.linalg),
    ("fft_", torch.fft),
    ("special_", torch.special),
)


def _on_tensors(op: Operator) -> Callable[..., Any]:
    for prefix, place in _PLACES:
        if op.name.startswith(prefix) and (op.on_tensor or place is not torch.Tensor):
            target = getattr(place, op.name.removeprefix(prefix), None)
            if callable(target) and name_of(target) is not None:
                return target
    if op.name in _ON_TENSORS:
        return _ON_TENSORS[op.name]
    raise D2SError(f"the operator {op.name} has no public function that a program may call")


_ON_TENSORS: dict[str, Callable[..., Any]] = {
    "Bool": bool,
    "Int": int,
    "Float": float,
    "len": len,
    "IntImplicit": torch.Tensor.item,
    "FloatImplicit": torch.Tensor.item,
    "ScalarImplicit": torch.Tensor.item,
    "append": list.append,
    "extend": list.extend,
    "insert": list.insert,
    "__getitem__": operator.getitem,
    "_set_item": operator.setitem,
    "Delete": operator.delitem,
    "__contains__": operator.contains,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "__and__": torch.Tensor.__and__,
    "__or__": torch.Tensor.__or__,
    "__xor__": torch.Tensor.__xor__,
}

# ------------------------------------------------------------------ Python

_OF_OPERATOR = (
    "add sub mul eq ne lt le gt ge floordiv pow neg and_ or_ xor not_ lshift rshift contains getitem".split()
)
_ON_PYTHON: dict[str, Callable[..., Any]] = {
    **{name.rstrip("_"): getattr(operator, name) for name in _OF_OPERATOR},
    **{f"__{name.rstrip('_')}__": getattr(operator, name) for name in _OF_OPERATOR},
    "div": operator.truediv,
    "remainder": operator.mod,
    "__is__": operator.is_,
    "__isnot__": operator.is_not,
    "_set_item": operator.setitem,
    "Delete": operator.delitem,
    "Bool": bool,
    "Int": int,
    "Float": float,
    "Complex": complex,
    "str": str,
    "list": list,
}


def _on_python(op: Operator) -> Callable[..., Any]:
    known = _ON_PYTHON.get(op.name)
    if known is not None:
        return known
    kind = op.types[0] if op.types else object
    for place in (*([kind] if kind in (list, dict, str) else []), builtins, math, torch):
        target = getattr(place, op.name, None)
        if callable(target) and name_of(target) is not None:
            return target
    raise D2SError(f"the operator {op.name} has no public function that a program may call")

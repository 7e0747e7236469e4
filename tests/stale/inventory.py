"""An inventory of all that a function can reach: what a capture must leave as it was, to the last object."""

from __future__ import annotations

import random
import types
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from compare import same
from reach import CONTAINERS, TABLES, attributes, is_users_code, reached, variables
from torch._subclasses import FakeTensor

_EQUAL = (bool, int, float, complex, str, bytes, type(None))
_SETTINGS = (
    torch.is_grad_enabled,
    torch.is_inference_mode_enabled,
    torch.get_default_dtype,
    torch.is_anomaly_enabled,
    torch.are_deterministic_algorithms_enabled,
    torch.get_float32_matmul_precision,
    torch._C._len_torch_function_stack,
    torch._C._len_torch_dispatch_stack,
)


def inventory(*roots: Any) -> dict[str, Any]:
    """What is in every object that can be reached, and in the surroundings, by the path to it."""
    found: dict[str, Any] = {"settings": [setting() for setting in _SETTINGS]}
    found["generators"] = [torch.get_rng_state().tolist(), random.getstate(), _numpys_state()]
    for number, thing in enumerate(reached(*roots)):
        for name, item in _inside(thing):
            found[f"{number}, a {type(thing).__name__}: {name}"] = item
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """The places where two inventories are not the same."""
    names = [name for name in before if name not in after or not _is_same(before[name], after[name])]
    return names + [name for name in after if name not in before]


def of_a_recording(found: dict[str, Any]) -> list[str]:
    """The places that hold what only a recording should see."""
    return [name for name, item in found.items() if isinstance(item, FakeTensor) or _is_ours(item)]


def _is_ours(item: Any) -> bool:
    return type(item).__module__.startswith("d2s.runtime.")


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and type(one) is type(other) and one is not other:
        return same(one.detach(), other.detach())  # copies of its numbers
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(_is_same, one, other))
    return one is other or (type(one) is type(other) and isinstance(one, _EQUAL) and repr(one) == repr(other))


def _numpys_state() -> list[Any]:
    kind, keys, *rest = np.random.get_state()
    return [kind, np.asarray(keys).tolist(), *rest]


def _inside(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, torch.Tensor):
        yield from {"numbers": thing.detach().clone(), "grad": thing.grad, "version": thing._version}.items()
        yield from {"requires_grad": thing.requires_grad, "history": thing.grad_fn, **vars(thing)}.items()
        yield "hooks", list((thing._backward_hooks or {}).values())
    elif isinstance(thing, np.ndarray):
        yield from {"numbers": thing.tolist(), "shape": thing.shape, "dtype": str(thing.dtype)}.items()
    elif isinstance(thing, dict):
        yield "keys", list(thing)
        yield "values", list(thing.values())
    elif isinstance(thing, types.FunctionType):
        yield from _of_function(thing)
    elif isinstance(thing, type):
        yield from vars(thing).items()
    else:
        if isinstance(thing, CONTAINERS):
            yield "items", list(thing)
        yield from _of_object(thing)


def _of_function(function: Any) -> Iterator[tuple[str, Any]]:
    if is_users_code(function.__code__):
        yield from variables(function).items()
        yield from zip(function.__code__.co_freevars, map(_contents, function.__closure__ or ()), strict=True)
    yield "itself", [function.__code__, function.__defaults__, function.__kwdefaults__, *vars(function).items()]


def _contents(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "empty"


def _of_object(thing: Any) -> Iterator[tuple[str, Any]]:
    own = attributes(thing)
    yield "attributes", list(own)
    yield from own.items()
    if isinstance(thing, torch.nn.Module):
        tables = [*TABLES, *(name for name in own if name.endswith("_hooks"))]
        for table in tables:
            yield f"{table} by name", list(own[table].items())
    if isinstance(thing, torch.Generator):
        yield "state", thing.get_state().tolist()

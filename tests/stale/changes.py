"""What can be changed, one thing at a time, of all that a function can reach: each change can be taken back."""

from __future__ import annotations

import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from edits import (
    default_dtype,
    deterministic,
    doubles,
    holding,
    hooked,
    in_cell,
    in_state,
    nothing,
    other_codes,
    others,
    put,
    seeded,
    taken_away,
    twice,
    with_more,
)
from reach import (
    attributes,
    cells,
    data_of,
    is_of_torch,
    is_users,
    is_users_code,
    names_in,
    reached,
    special_methods_of,
    variables,
)


@dataclass(frozen=True)
class Change:
    """One change: while `made()` is entered, it is there."""

    what: str
    made: Callable[[], AbstractContextManager[object]]


def changes(function: Any) -> Iterator[Change]:
    """Every change of what can be reached from a function or a module, and of its surroundings."""
    names: set[str] = set()
    for thing in reached(function):
        code = thing.__code__ if isinstance(thing, types.FunctionType) else None
        if code is not None and is_users_code(code):
            names |= names_in(code)
        yield from _of(thing, names)
    yield from SURROUNDINGS


def _of(thing: Any, names: set[str]) -> Iterator[Change]:
    if isinstance(thing, types.FunctionType):
        if is_users_code(thing.__code__):
            yield from _of_function(thing)
    elif isinstance(thing, type):
        if is_users(thing):
            yield from _of_class(thing, names)
    elif isinstance(thing, list | dict | set | deque):
        yield from _of_container(thing)
    elif isinstance(thing, np.ndarray):
        yield from _of_array(thing)
    elif isinstance(thing, torch.nn.Module):
        yield from (*_of_object(thing, names), *_of_module(thing))
    elif isinstance(thing, torch.Tensor):
        yield from _of_tags(thing)
    elif isinstance(thing, BaseException | functools.partial | torch.Generator):
        yield from _of_one_value(thing)
    elif not isinstance(thing, tuple | types.MethodType):
        yield from _of_object(thing, names)


def _of_function(function: types.FunctionType) -> Iterator[Change]:
    for cell, name in zip(function.__closure__ or (), function.__code__.co_freevars, strict=True):
        for other in others(cell.cell_contents) if cell in cells(function) else ():
            yield Change(f"variable {name} is {other!r}", partial(in_cell, cell, other))
    module = sys.modules[function.__globals__["__name__"]]
    for name, value in variables(function).items():
        for other in others(value):
            yield Change(f"global {name} is {other!r}", partial(put, module, name, other))
        yield from _of_names(value, names_in(function.__code__))
    for defaults in ("__defaults__", "__kwdefaults__"):
        for other in others(getattr(function, defaults) or ()):
            yield Change(f"{defaults} is {other!r}", partial(put, function, defaults, other))
    for other in other_codes(function.__code__):
        yield Change(f"{function.__name__} has other code", partial(put, function, "__code__", other))
    for name, value in vars(function).items():
        for other in others(value):
            yield Change(f"{function.__name__}.{name} is {other!r}", partial(put, function, name, other))


def _of_names(module: Any, names: set[str]) -> Iterator[Change]:
    """Patches of what code names of a Python module."""
    if isinstance(module, types.ModuleType):
        for name in sorted(names & vars(module).keys()):
            value = vars(module)[name]
            if callable(value) and not isinstance(value, type):
                yield Change(f"{module.__name__}.{name} is patched", partial(put, module, name, twice(value)))


def _of_class(cls: type, names: set[str]) -> Iterator[Change]:
    for name, value in data_of(cls).items():
        for other in others(value):
            yield Change(f"{cls.__name__}.{name} is {other!r}", partial(put, cls, name, other))
        if isinstance(value, types.FunctionType) and name in names:
            yield Change(f"{cls.__name__}.{name} is replaced", partial(put, cls, name, twice(value)))
    for name, value in special_methods_of(cls).items():
        yield Change(f"{cls.__name__}.{name} is replaced", partial(put, cls, name, twice(value)))
    for name, new in _ADDED.items():
        if not hasattr(cls, name):
            yield Change(f"{cls.__name__} gets {name}", partial(put, cls, name, new))


# Special methods that a class may get: whether an object is true, and what it adds up to.
_ADDED: dict[str, Any] = {
    "__bool__": lambda self: False,
    "__add__": lambda self, other: other,
    "__len__": lambda self: 0,
}


def _of_container(container: Any) -> Iterator[Change]:
    def change(what: str, contents: Any) -> Change:
        return Change(f"{type(container).__name__} {what}", partial(holding, container, contents))

    if isinstance(container, dict):
        items = list(container.items())
        yield change("with a key more", {**container, "added": 1})
        if len(items) > 1:
            yield change("in another order", dict(reversed(items)))
        for key, value in items:
            yield change(f"without {key!r}", {k: v for k, v in items if k != key})
            yield from (change(f"with {key!r} as {other!r}", {**container, key: other}) for other in others(value))
        return
    items = list(container)
    if isinstance(container, set):
        yield change("with a member more", {*items, 99})
        yield from (change(f"without {item!r}", container - {item}) for item in items[:2])
        return
    yield change("with one more", [*items, *items[-1:]] or [1])
    if len(items) > 1:
        yield change("in another order", items[::-1])
    for at, item in enumerate(items[:3]):
        yield change(f"without item {at}", [*items[:at], *items[at + 1 :]])
        yield from (
            change(f"with {other!r} at {at}", [*items[:at], other, *items[at + 1 :]]) for other in others(item)
        )


def _of_array(array: np.ndarray) -> Iterator[Change]:
    if array.dtype.kind in "if" and array.flags.writeable:
        yield Change("array with other numbers", partial(with_more, array))


def _of_tags(tensor: torch.Tensor) -> Iterator[Change]:
    for name, value in vars(tensor).items():
        for other in others(value):
            yield Change(f"tag {name} is {other!r}", partial(put, tensor, name, other))
        yield Change(f"tag {name} is not there", partial(taken_away, tensor, name))


def _of_one_value(thing: Any) -> Iterator[Change]:
    if isinstance(thing, BaseException):
        for other in others(thing.args):
            yield Change(f"{type(thing).__name__} with {other}", partial(put, thing, "args", other))
    elif isinstance(thing, functools.partial):
        for args in (*others(thing.args), (*thing.args, 1)):
            state = thing.func, args, thing.keywords, vars(thing)
            yield Change(f"partial with {args}", partial(in_state, thing, state))
    else:
        yield Change("generator with another seed", partial(seeded, thing))


def _of_object(thing: Any, names: set[str]) -> Iterator[Change]:
    kind = type(thing).__name__
    own = {name: value for name, value in attributes(thing).items() if not is_of_torch(thing, name)}
    for name, value in own.items():
        if isinstance(thing, torch.nn.RNNBase) and name == "hidden_size":
            continue  # torch reads memory that nobody wrote
        for other in others(value):
            yield Change(f"{kind}.{name} is {other!r}", partial(put, thing, name, other))
        if name in names:
            yield Change(f"{kind}.{name} is not there", partial(taken_away, thing, name))
    if hasattr(thing, "__dict__") and is_users(type(thing)):
        for name in sorted(names - own.keys()):
            method = getattr(type(thing), name, None)
            if isinstance(method, types.FunctionType) and name != "forward":
                hidden = twice(getattr(thing, name))
                yield Change(f"{kind}.{name} hides its method", partial(put, thing, name, hidden))


def _of_module(module: torch.nn.Module) -> Iterator[Change]:
    kind = type(module).__name__

    for hooks in (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks):
        if hooks:
            yield Change(f"{kind} without its hooks", partial(holding, hooks, {}))
    yield Change(f"{kind} with a hook", partial(hooked, module.register_forward_hook, doubles))
    yield Change(f"{kind} with a hook before", partial(hooked, module.register_forward_pre_hook, nothing))
    for name, parameter in module._parameters.items():
        if parameter is not None:
            other = torch.nn.Parameter(parameter.detach() * 2)
            frozen = torch.nn.Parameter(parameter.detach().clone(), requires_grad=not parameter.requires_grad)
            yield Change(f"{kind}.{name} is another", partial(put, module, name, other))
            yield Change(f"{kind}.{name} is frozen", partial(put, module, name, frozen))


SURROUNDINGS = [
    Change("no gradients", torch.no_grad),
    Change("inference mode", torch.inference_mode),
    Change("autocast", partial(torch.autocast, "cpu", torch.bfloat16)),
    Change("the default dtype", default_dtype),
    Change("deterministic algorithms", deterministic),
]

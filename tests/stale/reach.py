"""Finds what a function can reach, and keeps the state of all of it: on its own, without the code that is tested."""

from __future__ import annotations

import functools
import sys
import sysconfig
import types
from collections import OrderedDict, deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import d2s

# What is looked into no further.
_LEAVES = (bool, int, float, complex, str, bytes, type(None), range, slice, torch.dtype, torch.device, torch.Size)
TABLES = ("_parameters", "_buffers", "_modules")
_OF_MODULES = vars(torch.nn.Module()).keys() - {"training"}
_HOME = Path(d2s.__file__).parents[1]
_OF_OTHERS = (sysconfig.get_path("stdlib"), *(str(_HOME / name) for name in ("d2s", "runtime", "transforms")))
CONTAINERS = (list, dict, set, deque)


def reached(*roots: Any) -> list[Any]:
    """The objects that can be reached from some, each once, the nearest first."""
    found: dict[int, Any] = {}
    queue = deque(roots)
    while queue:
        thing = queue.popleft()
        if id(thing) in found or isinstance(thing, (*_LEAVES, types.ModuleType)):
            continue
        found[id(thing)] = thing
        queue.extend(inside(thing))
    return [thing for thing in found.values() if not type(thing).__module__.startswith("d2s.")]


def inside(thing: Any) -> Iterator[Any]:
    """What an object holds directly; of a static function, the original one alone."""
    if type(thing).__module__.startswith("d2s."):
        yield getattr(thing, "__d2s_original__", None)
    elif isinstance(thing, dict):
        yield from thing.values()
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from thing
    elif isinstance(thing, types.FunctionType):
        if is_users_code(thing.__code__):
            yield from variables(thing).values()
            yield from (cell.cell_contents for cell in cells(thing))
            yield from (thing.__defaults__, thing.__kwdefaults__, vars(thing))
    elif isinstance(thing, types.MethodType):
        yield from (thing.__func__, thing.__self__)
    elif isinstance(thing, functools.partial):
        yield from (thing.func, thing.args, thing.keywords)
    elif isinstance(thing, type):
        yield from data_of(thing).values()
        if is_users(type(thing)):
            yield type(thing)
    elif not isinstance(thing, torch.Tensor):
        is_module = isinstance(thing, torch.nn.Module)
        own = {name: item for name, item in attributes(thing).items() if not is_of_torch(thing, name)}
        yield from own.values()
        if is_module:
            yield from (item for table in TABLES for item in getattr(thing, table).values())
        if is_users(type(thing)):
            yield type(thing)


def is_of_torch(thing: Any, name: str) -> bool:
    """Whether an attribute of a module is torch's own."""
    return isinstance(thing, torch.nn.Module) and (name in _OF_MODULES or name.startswith("__"))


def is_users(cls: type) -> bool:
    """Whether a class is one of a case."""
    return _is_users_file(getattr(sys.modules.get(cls.__module__), "__file__", None) or "")


def data_of(cls: type) -> dict[str, Any]:
    """What a class of a case holds by names that are not special."""
    return {name: item for name, item in vars(cls).items() if not name.startswith("__")} if is_users(cls) else {}


def special_methods_of(cls: type) -> dict[str, types.FunctionType]:
    """The special methods of a class of a case that answer something and are written in Python."""
    if not is_users(cls):
        return {}
    found = {name: item for name, item in vars(cls).items() if name.startswith("__") and name != "__init__"}
    return {name: item for name, item in found.items() if isinstance(item, types.FunctionType)}


def attributes(thing: Any) -> dict[str, Any]:
    """What an object has itself: in its dict and in its slots."""
    slots = {name: getattr(thing, name) for name in _slots(thing) if hasattr(thing, name)}
    return {**getattr(thing, "__dict__", {}), **slots}


def _slots(thing: Any) -> list[str]:
    """The names of the slots that the classes of a case give an object."""
    return [
        name
        for cls in type(thing).__mro__
        for name, item in vars(cls).items()
        if isinstance(item, types.MemberDescriptorType) and is_users(cls)
    ]


def cells(function: types.FunctionType) -> list[types.CellType]:
    """The variables of outer functions that have a value."""
    found = []
    for cell in function.__closure__ or ():
        try:
            cell.cell_contents  # noqa: B018
        except ValueError:
            continue
        found.append(cell)
    return found


def variables(function: types.FunctionType) -> dict[str, Any]:
    """The global variables that a function of a case names."""
    if not is_users_code(function.__code__):
        return {}
    names = names_in(function.__code__)
    return {name: function.__globals__[name] for name in names if name in function.__globals__}


def is_users_code(code: types.CodeType) -> bool:
    """Whether code is of a case."""
    return _is_users_file(code.co_filename)


@cache
def _is_users_file(name: str) -> bool:
    """Whether a file is not one of a library, and none of d2s itself."""
    return name.endswith(".py") and not name.startswith(_OF_OTHERS) and "site-packages" not in name


def names_in(code: types.CodeType) -> set[str]:
    """The names that code and the functions in it use."""
    return set(code.co_names).union(*(names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)))


def plain(container: Any) -> Any:
    """A copy of what a container holds, made by the methods of Python's own class."""
    kind: Any = next(kind for kind in (OrderedDict, *CONTAINERS) if isinstance(container, kind))
    return kind(kind.items(container) if isinstance(container, dict) else kind.__iter__(container))


class Kept:
    """The state of some objects, to be put back."""

    def __init__(self, things: list[Any]) -> None:
        self._copies = [(thing, _copy(thing)) for thing in things]

    def restore(self) -> None:
        """Let every object hold what it held."""
        for thing, copy in self._copies:
            _put_back(thing, copy)


def _copy(thing: Any) -> Any:
    if isinstance(thing, torch.Tensor):
        with torch.no_grad():
            return thing.detach().clone(), thing.grad, thing.requires_grad, dict(vars(thing))
    if isinstance(thing, np.ndarray):
        return thing.copy()
    if isinstance(thing, CONTAINERS):
        return plain(thing), dict(getattr(thing, "__dict__", {}))
    if isinstance(thing, torch.nn.Module):
        return dict(vars(thing)), {table: dict(getattr(thing, table)) for table in TABLES}
    return dict(attributes(thing)) if not isinstance(thing, type | types.FunctionType) else None


def _put_back(thing: Any, copy: Any) -> None:
    if isinstance(thing, torch.Tensor):
        values, grad, requires_grad, tags = copy
        if thing.shape == values.shape and not torch.equal(thing.detach(), values):
            thing.data.copy_(values)
        if thing.is_leaf:
            thing.grad = grad
            thing.requires_grad_(requires_grad)
        vars(thing).clear()
        vars(thing).update(tags)
    elif isinstance(thing, np.ndarray):
        thing[...] = copy
    elif isinstance(thing, CONTAINERS):
        contents, own = copy
        thing.clear()
        (thing.extend if isinstance(thing, list | deque) else thing.update)(contents)
        if own:
            vars(thing).update(own)
    elif isinstance(thing, torch.nn.Module):
        own, tables = copy
        vars(thing).clear()
        vars(thing).update(own)
        for table, items in tables.items():
            own[table].clear()
            own[table].update(items)
    elif copy is not None and isinstance(getattr(thing, "__dict__", None), dict):
        vars(thing).clear()
        vars(thing).update({name: item for name, item in copy.items() if name not in _slots(thing)})

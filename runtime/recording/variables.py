"""Which variables from outside a function names, and which attributes its code can look up."""

from __future__ import annotations

import builtins
import dis
import os
import sys
import types
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from d2s.runtime.ir.sources import (
    Attribute,
    Cell,
    Constant,
    Derived,
    Global,
    Item,
    Member,
    Source,
    is_empty,
    is_users_name,
)
from d2s.runtime.recording.places import MISSING
from d2s.runtime.torch_internals.modes import is_setting

_READS_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_READS_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
# Those of torch's and Python's modules that tests and tools put others in the place of.
_REPLACED = (types.FunctionType, types.BuiltinFunctionType, types.MethodType, type)
# Whose keys are guarded one by one.
LOADED_MODULES = Constant(sys.modules, "sys.modules")

Found = Iterator[tuple[Source, Any]]


def cells_of(function: Any) -> Found:
    """The variables of outer functions that a function names, also inside it; MISSING for what is not bound."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        held = MISSING if is_empty(cell) else cell.cell_contents
        if not is_own_module(held):
            yield Cell(cell, name), held


def is_own_module(thing: Any) -> bool:
    """Whether this is a module of ours, such as that of the operators, which rewritten code names."""
    return isinstance(thing, types.ModuleType) and thing.__name__.startswith("d2s.")


def globals_of(function: Any) -> Found:
    """The global variables that a function names, and those of the modules that it imports; MISSING for what is none.

    What it names as an attribute of a Python module, as in `config.size`, is among them.
    """
    namespace, code = function.__globals__, function.__code__
    for name, *attributes in sorted(chains_of_globals(code)):
        yield from _along(Global(namespace, name), namespace.get(name, MISSING), attributes, code)
        if name not in namespace and not _is_pythons(name):
            yield from _along(Global(vars(builtins), name), vars(builtins).get(name, MISSING), attributes, code)
    for name in sorted(_imports(code)):
        source, module = Item(LOADED_MODULES, name), sys.modules.get(name, MISSING)
        yield source, module
        if not isinstance(module, types.ModuleType):
            continue
        yield from named_of(source, module, names_in(code))
        if not is_users_name(name):
            yield Derived(source, itself), module


def _is_pythons(name: str) -> bool:
    """Whether Python itself has a built-in function or class of this name, which is trusted to stay what it is."""
    item: Any = vars(builtins).get(name)
    is_built_in = isinstance(item, types.BuiltinFunctionType | type)
    return is_built_in and (item.__module__, item.__name__) == ("builtins", name)


def _along(source: Source, value: Any, attributes: list[str], code: types.CodeType) -> Found:
    """A source, and those of the attributes that follow it as long as they are of Python modules."""
    if is_own_module(value):
        return
    yield source, value
    if not isinstance(value, types.ModuleType):
        return
    if not attributes:
        yield Derived(source, itself), value
        return
    name, *rest = attributes
    if name not in vars(value):
        yield Member(source, "", name), MISSING
    for path, item in named_of(source, value, [name]):
        yield from _along(path, item, rest, code)


def itself(module: types.ModuleType) -> types.ModuleType:
    """A global Python module that is handed on: it matters what it holds by any name in the code that was met."""
    return module


def named_of(source: Source, module: types.ModuleType, names: Iterable[str]) -> Found:
    """What the module at a path holds by some names."""
    own = vars(module)
    for name in sorted(names):
        if is_setting(module, name):
            yield Attribute(source, name), getattr(module, name)
        elif name not in own and is_users_name(module.__name__):
            yield Member(source, "", name), MISSING
        elif name in own and is_known(module, own[name]):
            yield Attribute(source, name), own[name]


def is_known(module: types.ModuleType, item: Any) -> bool:
    """Whether it is guarded what a module holds: all of a module of the user's, of others what is put in its place.

    Those are functions, and containers, such as `sys.path`, but for `sys.modules`: all that is imported changes that.
    The environment of the process is the user's too.
    """
    if is_users_name(module.__name__) or item is os.environ:
        return True
    return isinstance(item, (*_REPLACED, types.ModuleType, list, dict, set)) and item is not sys.modules


@cache
def chains_of_globals(code: types.CodeType) -> frozenset[tuple[str, ...]]:
    """The globals that a code object, or one inside it, reads, each with the attributes that it reads of it."""
    found: set[tuple[str, ...]] = set()
    chain: list[str] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname in _READS_ATTRIBUTE and chain:
            chain.append(instruction.argval)
            continue
        if chain:
            found.add(tuple(chain))
        chain = [instruction.argval] if instruction.opname in _READS_GLOBAL else []
    return frozenset(found.union(*map(chains_of_globals, _inside(code))))


@cache
def names_in(code: types.CodeType) -> frozenset[str]:
    """The names of attributes that a code object, or one inside it, can look up: also those that it has as texts."""
    texts = {constant for constant in code.co_consts if isinstance(constant, str) and constant.isidentifier()}
    return frozenset({*code.co_names, *texts}.union(*map(names_in, _inside(code))))


@cache
def _imports(code: types.CodeType) -> frozenset[str]:
    own = {found.argval for found in dis.get_instructions(code) if found.opname == "IMPORT_NAME"}
    return frozenset(own.union(*map(_imports, _inside(code))))


def _inside(code: types.CodeType) -> list[types.CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]

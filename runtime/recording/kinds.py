"""How each kind of object is guarded: the one table of it.

A row says what must hold of an object itself, and which parts it has, with the path to each: a part is guarded by
its own row. Beside these, what was read of an object's attributes is guarded; see `attributes.py`.
"""

from __future__ import annotations

import array
import datetime
import decimal
import enum
import fractions
import functools
import io
import logging
import operator
import random
import re
import threading
import types
import typing
import uuid
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import PurePath
from typing import Any

import torch

from d2s.runtime.ir.sources import Constant, Source
from d2s.runtime.recording import parts
from d2s.runtime.recording.checks import Check, HasText, IsObject, IsValue
from d2s.runtime.recording.outside import LOCKS
from d2s.runtime.recording.parts import Parts, both, form, named
from d2s.runtime.recording.structures import walks_itself


@dataclass(frozen=True)
class Kind:
    """How objects of some classes are guarded.

    `name` and `guarded` say it in words; a class that need not be imported stands by its full name.
    `check` gives what must hold of an object, and `parts` what is in it.
    """

    name: str
    guarded: str
    classes: tuple[type | str, ...]
    check: Callable[[Any], Check]
    parts: Callable[[Source, Any], Parts] = parts.no_parts


def _text(thing: Any) -> Check:
    return HasText(type(thing), repr(thing))


_OF_TORCH = (torch.dtype, torch.device, torch.layout, torch.memory_format, torch.qscheme)
_OF_TYPES = (types.GenericAlias, types.UnionType, "typing._Final", typing.TypeVar, typing.ParamSpec)
_VALUES = (bool, int, float, complex, str, bytes, type(None), range, type(...), type(NotImplemented))
_DATES = (datetime.date, datetime.time, datetime.timedelta, datetime.timezone, "zoneinfo.ZoneInfo")
_DECIMALS = (decimal.Decimal, decimal.Context, fractions.Fraction)
_BY_TEXT = (*_DATES, *_DECIMALS, uuid.UUID, PurePath, torch.finfo, torch.iinfo)
_DESCRIPTORS = (
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.CodeType,
)
_WRAPPERS = (staticmethod, classmethod)
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_MAPPINGS = (dict, types.MappingProxyType)
_NAMESPACES = (types.SimpleNamespace, threading.local)
_ARRAYS = ("numpy.ndarray", array.array, bytearray, memoryview, "mmap.mmap", "_ctypes.Array")
_GETTERS = (operator.itemgetter, operator.attrgetter, operator.methodcaller)
_BUILT_IN = (types.BuiltinFunctionType,)
_SPECIAL = (types.MethodWrapperType,)

_STATIC = ("d2s.static.StaticFunction", "d2s.static.BoundStaticFunction")
_CYTHON = re.compile(r"^_cython_[0-9_]+$")
_OF_CYTHON = "cython.cython_function_or_method"
_OF_EXTENSIONS = ("numpy.ufunc", "numpy._ArrayFunctionDispatcher", _OF_CYTHON, re.Match)
# What they do is an op of the program, or refused.
_DRAWING = (random.Random, torch.Generator, "numpy.random._generator.Generator", "numpy.random.mtrand.RandomState")
_HANDLES = (*_DRAWING, torch.Stream, torch.Event)

# Has no classes: it is for those of other rows that say themselves how they are walked through.
_WALKING = Kind("containers with an `__iter__` or such of their own", "class, contents", (), form, parts.plainly)

# The first row that is for one of an object's classes counts.
TABLE = (
    Kind("members of an `Enum`", "identity", (enum.Enum,), IsObject),
    Kind("classes", "identity", (type,), IsObject),
    Kind("Python modules", "identity", (types.ModuleType,), IsObject),
    Kind("functions", "code, closure, defaults", (types.FunctionType,), parts.function, parts.of_function),
    Kind("static functions", "identity, function", _STATIC, IsObject, named("__d2s_original__")),
    Kind("bound methods", "function, object", (types.MethodType,), form, named("__func__", "__self__")),
    Kind("built-in functions and methods", "object, name", _BUILT_IN, parts.built_in, parts.of_built_in),
    Kind("special methods of an object", "object, name", _SPECIAL, form, named("__self__", "__name__")),
    Kind("static methods, class methods", "identity, function", _WRAPPERS, IsObject, named("__func__")),
    Kind("properties", "identity, functions", (property,), IsObject, named("fget", "fset", "fdel")),
    Kind("other descriptors, code", "identity", _DESCRIPTORS, IsObject),
    Kind(
        "`functools.partial`",
        "function, arguments",
        (functools.partial,),
        form,
        named("func", "args", "keywords", "__dict__"),
    ),
    Kind("functions with a cache", "identity, what they answer", (functools._lru_cache_wrapper,), IsObject),
    Kind("weak references", "what they refer to", (weakref.ref,), form, parts.of_reference),
    Kind("numbers, texts, None, ranges", "class, value", _VALUES, IsValue),
    Kind("dtypes, devices, layouts, memory formats", "value", _OF_TORCH, IsValue),
    Kind("types with arguments, unions", "value", _OF_TYPES, IsValue),
    Kind("regular expressions", "value", (re.Pattern,), IsValue),
    Kind("dates, decimals, fractions, paths, `finfo`", "class, text, zone", _BY_TEXT, _text, parts.zone),
    Kind("scalars and dtypes of numpy", "class, text", ("numpy.generic", "numpy.dtype"), _text),
    Kind("slices", "start, stop, step", (slice,), form, named("start", "stop", "step")),
    _WALKING,
    Kind("deques", "items, longest length", (deque,), parts.length, both(parts.items, named("maxlen"))),
    Kind("lists and tuples", "class, items", (list, tuple), parts.length, parts.items),
    Kind("sets and frozensets", "class, members, order", (set, frozenset), parts.members, parts.each),
    Kind("`defaultdict`", "items, factory", (defaultdict,), parts.keys, both(parts.values, named("default_factory"))),
    Kind("dicts", "class, keys, order, values", _MAPPINGS, parts.keys, parts.values),
    Kind("views of dicts", "the dict", _VIEWS, form, named("mapping")),
    Kind("namespaces, `threading.local`", "attributes", _NAMESPACES, form, named("__dict__")),
    Kind("exceptions", "arguments, attributes", (BaseException,), form, named("args", "__dict__", "__cause__")),
    Kind("arrays", "class, shape, contents", _ARRAYS, parts.block, parts.of_block),
    Kind("getters and callers of `operator`", "class, text", _GETTERS, _text),
    Kind("functions of extensions", "identity", _OF_EXTENSIONS, IsObject),
    Kind("generators of random numbers, streams", "identity", _HANDLES, IsObject),
    Kind("context variables, locks, files", "identity", (ContextVar, io.IOBase, *LOCKS), IsObject),
    Kind("loggers", "identity", (logging.Logger,), IsObject),
)


def kind_of(thing: Any) -> Kind | None:
    """The row for an object; None if there is none."""
    cls: Any = type(thing)
    return _WALKING if walks_itself(cls) else _row_for(cls)


@cache
def _row_for(cls: Any) -> Kind | None:
    bases = {base: _full_name(base) for base in cls.__mro__}
    for kind in TABLE:
        if any(base in kind.classes or name in kind.classes for base, name in bases.items()):
            return kind
    return None


def _full_name(cls: type) -> str:
    """The name of a class with its module; Cython's own say its version."""
    return f"{_CYTHON.sub('cython', str(cls.__module__))}.{cls.__qualname__}"


def is_value(thing: Any) -> bool:
    """Whether nothing is in an object, and it can be told apart by its class and value."""
    kind = kind_of(thing)
    if kind is None or kind.check not in (IsValue, _text):
        return False
    return kind.parts is parts.no_parts or not any(True for _ in kind.parts(Constant(thing, ""), thing))


# What makes an object answer without that a name of it is asked for.
_PROTOCOLS = frozenset(
    "__len__ __getitem__ __iter__ __next__ __contains__ __bool__ __index__ __int__".split()
    + "__float__ __enter__ __call__ __add__ __buffer__".split()
)


def can_be_asked(thing: Any, names: Collection[str]) -> bool:
    """Whether code with these names can ask an object of a kind that has no row for something."""
    asked = _PROTOCOLS.union(names)
    return any(not asked.isdisjoint(vars(base)) for base in type(thing).__mro__[:-1])

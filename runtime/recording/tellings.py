"""What functions, classes, tensors and decimals tell that nothing else guards."""

from __future__ import annotations

import decimal
import functools
import operator
from collections.abc import Callable, Collection
from typing import Any

import numpy
import torch

from d2s.runtime.ir.sources import Attribute, Derived, Setting, Source, is_users_class
from d2s.runtime.recording.locations import is_users_function
from d2s.runtime.recording.surroundings import errors_of_numpy
from d2s.runtime.recording.variables import Found

# By a name in the code: the attribute that is asked for; some functions of Python's ask for one themselves.
_ASKED_BY = dict.fromkeys(("get_type_hints", "get_annotations", "signature", "__annotations__"), "__annotations__")
_OF_BOTH = {"__name__": "__name__", "__qualname__": "__qualname__", **_ASKED_BY}
_OF_FUNCTIONS = {**_OF_BOTH, **{name: name for name in ("__module__", "__doc__", "__type_params__")}}
_OF_CLASSES = {**_OF_BOTH, **{name: name for name in ("__bases__", "__mro__")}}


def _precision() -> str:
    """The context that decimals are computed in."""
    return repr(decimal.getcontext())


def _flags(array: Any) -> int:
    """Whether an array may be written, and how it lies in memory."""
    return int(array.flags.num)


def _has_base(tensor: torch.Tensor) -> bool:
    return tensor._base is not None


# Beside the class, dtype, shape, strides, device and `requires_grad`, which are always guarded.
_OF_TENSORS: dict[str, Callable[[Any], Any]] = {
    **{name: operator.methodcaller(name) for name in ("storage_offset", "is_inference", "is_conj", "is_neg")},
    **{name: operator.attrgetter(name) for name in ("retains_grad", "output_nr")},
    "_is_view": operator.methodcaller("_is_view"),
    "_base": _has_base,
}


def told(source: Source, thing: Any, names: frozenset[str]) -> Found:
    """What an object tells by these names, which are those in the code."""
    if isinstance(thing, torch.Tensor):
        for name in sorted(names & _OF_TENSORS.keys()):
            yield Derived(source, _OF_TENSORS[name]), _OF_TENSORS[name](thing)
    elif is_users_function(thing):
        yield from _attributes(source, thing, {_OF_FUNCTIONS[name] for name in names & _OF_FUNCTIONS.keys()})
    elif isinstance(thing, type) and is_users_class(thing):
        yield from _attributes(source, thing, {_OF_CLASSES[name] for name in names & _OF_CLASSES.keys()})
    elif isinstance(thing, functools._lru_cache_wrapper):
        yield from _attributes(source, thing, names & vars(thing).keys())
    elif isinstance(thing, numpy.ndarray | numpy.generic):
        yield Setting(errors_of_numpy), errors_of_numpy()
        if "flags" in names:
            yield Derived(source, _flags), _flags(thing)
    elif thing is decimal.Decimal or isinstance(thing, decimal.Decimal):
        yield Setting(_precision), _precision()


def _attributes(source: Source, thing: Any, names: Collection[str]) -> Found:
    for name in sorted(names):
        if hasattr(thing, name):
            yield Attribute(source, name), getattr(thing, name)

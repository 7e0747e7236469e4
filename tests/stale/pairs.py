"""For each row of the table of kinds, two objects that a function tells apart: the shortest stale programs."""

from __future__ import annotations

import array
import datetime
import enum
import functools
import logging
import operator
import re
import threading
import types
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

import d2s


@dataclass(frozen=True)
class Pair:
    """An object, another one of its class, and what a function reads of it: a number or a tensor.

    `twice` says that the attributes that are read tell the two apart as well.
    """

    one: Any
    other: Any
    read: Callable[[Any], Any]
    twice: bool = False


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Doubling:
    factor = 2

    def scaled(self, number):
        return number * self.factor


class Tripling(Doubling):
    factor = 3


class Ending(list):
    def __iter__(self):
        yield from list.__iter__(self)
        yield 5


def one(number=1):
    return number


def two(number=1):
    return number * 2


FIRST, SECOND = Doubling(), Tripling()
ITEMS, MORE = {"a": 1}, {"a": 2}
LOCKS = threading.Lock(), threading.Lock()
UFUNCS = np.add, np.subtract
LOGGERS = logging.getLogger("first"), logging.getLogger("second")
GENERATORS = torch.Generator(), torch.Generator()


def told_apart(one: Any, other: Any) -> Pair:
    """Two objects of different hashes."""
    numbers = {hash(one): 1, hash(other): 2}
    return Pair(one, other, lambda thing: numbers[hash(thing)])


PAIRS = {
    "members of an `Enum`": Pair(Color.RED, Color.BLUE, lambda color: color.value, twice=True),
    "classes": told_apart(int, float),
    "Python modules": told_apart(types.ModuleType("one"), types.ModuleType("other")),
    "functions": Pair(one, two, lambda function: function()),
    "static functions": Pair(d2s.to_static(one), d2s.to_static(two), lambda function: function()),
    "bound methods": told_apart(FIRST.scaled, SECOND.scaled),
    "built-in functions and methods": Pair(ITEMS.get, MORE.get, lambda method: method("a")),
    "special methods of an object": Pair((1).__add__, (2).__add__, lambda method: method(2)),
    "static methods, class methods": told_apart(staticmethod(one), staticmethod(two)),
    "properties": told_apart(property(one), property(two)),
    "other descriptors, code": told_apart(one.__code__, two.__code__),
    "`functools.partial`": Pair(functools.partial(one, 1), functools.partial(one, 2), lambda partial: partial()),
    "functions with a cache": Pair(functools.cache(one), functools.cache(two), lambda cached: cached()),
    "weak references": Pair(weakref.ref(FIRST), weakref.ref(SECOND), lambda reference: reference().factor, True),
    "numbers, texts, None, ranges": Pair(range(2), range(3), len),
    "dtypes, devices, layouts, memory formats": Pair(torch.float32, torch.float64, lambda dtype: dtype.itemsize),
    "types with arguments, unions": Pair(list[int], list[float], lambda alias: 1 if alias.__args__[0] is int else 2),
    "regular expressions": Pair(re.compile("a"), re.compile("b"), lambda pattern: 1 if pattern.match("a") else 2),
    "dates, decimals, fractions, paths, `finfo`": Pair(
        datetime.timedelta(1), datetime.timedelta(2), lambda span: span.days
    ),
    "scalars and dtypes of numpy": Pair(np.float32(1), np.float32(2), float),
    "slices": Pair(slice(0, 1), slice(0, 2), lambda part: torch.arange(3.0)[part].sum()),
    "containers with an `__iter__` or such of their own": Pair(Ending([1]), Ending([2]), sum),
    "deques": Pair(deque([1, 2], 2), deque([1, 2], 3), lambda items: items.maxlen),
    "lists and tuples": Pair([1, 2], [1, 3], lambda items: items[1]),
    "sets and frozensets": Pair({1, 2}, {1, 3}, lambda items: 1 if 2 in items else 2),
    "`defaultdict`": Pair(defaultdict(int), defaultdict(lambda: 2), lambda items: items["a"] + 1),
    "dicts": Pair(ITEMS, MORE, lambda items: items["a"]),
    "views of dicts": Pair(ITEMS.values(), MORE.values(), sum),
    "namespaces, `threading.local`": Pair(
        types.SimpleNamespace(a=1), types.SimpleNamespace(a=2), lambda namespace: namespace.a
    ),
    "exceptions": Pair(ValueError(1), ValueError(2), lambda error: error.args[0]),
    "arrays": Pair(array.array("i", [1]), array.array("i", [2]), lambda numbers: numbers[0]),
    "getters and callers of `operator`": Pair(
        operator.itemgetter(0), operator.itemgetter(1), lambda getter: getter((1, 2))
    ),
    "functions of extensions": Pair(*UFUNCS, lambda function: float(function(3, 1))),
    "generators of random numbers, streams": told_apart(*GENERATORS),
    "context variables, locks, files": told_apart(*LOCKS),
    "loggers": told_apart(*LOGGERS),
}


class Holder:
    """What a function reads the object from."""

    def __init__(self, held: Any) -> None:
        self.held = held


def function_of(pair: Pair) -> tuple[Any, Holder]:
    """A function that reads an object, and what holds that."""
    holder, read = Holder(pair.one), pair.read

    def reads(x):
        return x * read(holder.held)

    return reads, holder

"""What a call writes to the user's objects is the same as in eager, at every call, and is written by nobody twice."""

from __future__ import annotations

import collections
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import detached, same

import d2s


class Missing(dict):
    def __missing__(self, key):
        self[key] = []
        return self[key]


class Checked(dict):
    """A dict that counts the calls of its own methods."""

    writes = 0

    def __setitem__(self, key, value):
        self.writes += 1
        super().__setitem__(key, value)


class Upper:
    """An object that keeps its attributes under other names."""

    writes: int

    def __init__(self):
        object.__setattr__(self, "writes", 0)

    def __setattr__(self, name, value):
        object.__setattr__(self, "writes", self.writes + 1)
        object.__setattr__(self, name.upper(), value)


@dataclasses.dataclass(frozen=True)
class Frozen:
    n: int = 0


class Slots:
    __slots__ = ("n", "__weakref__")

    def __init__(self):
        self.n = 0


def ordered(s, x):
    if x.sum() > 0:
        s["k"] = x
    s.move_to_end("a")
    return x * len(s)


def nested_default(s, x):
    s["a"]["n"] = s["a"].get("n", 0) + 1
    return x * s["a"]["n"]


def default_on_one_side(s, x):
    if x.sum() > 0:
        s["above"]["n"] = 1
    else:
        s[("below", 0)]["n"] = 2
    return x * len(s)


def missing(s, x):
    s["a"].append(float(x.sum()))
    return x


def own_setitem(s, x):
    s["k"] = x
    if x.sum() > 0:
        s["l"] = s["k"] * 2
    return x * s.writes


def own_setattr(s, x):
    s.n = x
    if x.sum() > 0:
        s.m = s.N * 2
    return x * s.writes


def frozen(s, x):
    object.__setattr__(s, "n", s.n + 1)
    return x * s.n


def slots(s, x):
    s.n += 1
    if x.sum() > 0:
        s.n += 10
    return x * s.n


def class_attribute(s, x):
    type(s).total = getattr(type(s), "total", 0) + 1
    return x * type(s).total


def new_class() -> Any:
    return type("Local", (), {})()


CASES = [
    (ordered, lambda: collections.OrderedDict(a=1, b=2)),
    (nested_default, lambda: collections.defaultdict(dict)),
    (nested_default, lambda: collections.defaultdict(lambda: {"n": 5})),
    (default_on_one_side, lambda: collections.defaultdict(dict)),
    (missing, Missing),
    (own_setitem, Checked),
    (own_setattr, Upper),
    (frozen, Frozen),
    (slots, Slots),
    (class_attribute, new_class),
]


def state(thing: Any) -> Any:
    """What an object holds."""
    held = {"own": vars(thing)} if hasattr(thing, "__dict__") else {}
    if isinstance(thing, dict):
        held["items"] = list(thing.items())
    if isinstance(thing, Slots):
        held["n"] = thing.n
    return copy.deepcopy(detached(held))


def run(act: Callable[..., Any], thing: Any, **options: Any) -> list[Any]:
    """The answers and what the object holds after each call, on inputs that take either branch."""
    function: Any = d2s.to_static(act, **options) if options else act
    x = torch.tensor([1.0, 2.0])
    return [(function(thing, each), state(thing)) for each in (x, -x, x * 2, -x)]


@pytest.mark.parametrize(("act", "make"), CASES, ids=[f"{n}-{act.__name__}" for n, (act, _) in enumerate(CASES)])
def test_a_write_is_as_in_eager(act: Callable[..., Any], make: Callable[[], Any]) -> None:
    assert same(run(act, make(), full_graph=True), run(act, make()))

"""What a function asks of its process, and what things tell of themselves: a change gives a new answer."""

from __future__ import annotations

import abc
import collections.abc
import contextlib
import copy
import dataclasses
import decimal
import functools
import sys
import threading
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import numpy
import pytest
import torch
from compare import same

import d2s

X = torch.tensor([1.0, 2.0])
PRICE = decimal.Decimal(1)
LOCK = threading.Lock()
TENSOR = torch.ones(8)[:2]


class Shape(abc.ABC):
    """What classes are registered with."""


class Square:
    pass


class Circle:
    """Registered later."""


class Cube(Square):
    pass


@dataclasses.dataclass
class Settings:
    scale: float = 2.0

    def scaled(self, x):
        return x * self.scale


SQUARE, CIRCLE, SETTINGS = Square(), Circle(), Settings()
NUMBERS = numpy.ones(2)


def helper(x: Any) -> Any:
    """Doubles."""
    return x * 2


def imports_what_may_be_there(x):
    try:
        import may_be_there  # type: ignore[import-not-found]
    except ImportError:
        return x
    return x * may_be_there.scale


def imports_a_library(x):
    import sys as system

    return x + 1 if hasattr(system, "frozen") else x


def computes_with_decimals(x):
    return x * float(PRICE / decimal.Decimal(3))


def _module() -> types.ModuleType:
    module = types.ModuleType("may_be_there")
    module.scale = 3.0  # type: ignore[attr-defined]
    return module


@contextlib.contextmanager
def put(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Meanwhile an attribute is another: monkeypatch can't put back the name of a class."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    yield
    setattr(owner, name, before)


Change = contextlib.AbstractContextManager[Any]
# What a function does, and what is changed after its first call.
CASES: dict[str, tuple[Callable[[Any], Any], Callable[[], Change]]] = {
    "a module that is not there": (
        imports_what_may_be_there,
        lambda: mock.patch.dict(sys.modules, may_be_there=_module()),
    ),
    "whether a module is loaded": (
        lambda x: x + 1 if "may_be_there" in sys.modules else x,
        lambda: mock.patch.dict(sys.modules, may_be_there=_module()),
    ),
    "a name that a library has not": (
        lambda x: x + 1 if hasattr(sys, "frozen") else x,
        lambda: mock.patch.object(sys, "frozen", True, create=True),
    ),
    "a name that an imported library has not": (
        imports_a_library,
        lambda: mock.patch.object(sys, "frozen", True, create=True),
    ),
    "a list of a library": (lambda x: x * len(sys.path), lambda: put(sys, "path", [*sys.path, "added"])),
    "filters of warnings": (
        lambda x: x * len(warnings.filters),
        lambda: put(warnings, "filters", [*warnings.filters, *warnings.filters]),
    ),
    "the name of the thread": (
        lambda x: x * len(threading.current_thread().name),
        lambda: put(threading.current_thread(), "name", "another name"),
    ),
    "the precision of decimals": (
        computes_with_decimals,
        lambda: put(decimal.getcontext(), "prec", 2),
    ),
    "the name of a function": (
        lambda x: x * len(helper.__name__),
        lambda: put(helper, "__name__", "longer_name"),
    ),
    "the text about a function": (
        lambda x: x * len(helper.__doc__ or ""),
        lambda: put(helper, "__doc__", None),
    ),
    "the annotations of a function": (
        lambda x: x * len(helper.__annotations__),
        lambda: put(helper, "__annotations__", {}),
    ),
    "the name of a class": (
        lambda x: x * len(Square.__name__),
        lambda: put(Square, "__name__", "another"),
    ),
    "the name of an object's class": (
        lambda x: x * len(type(SQUARE).__name__),
        lambda: put(Square, "__name__", "another"),
    ),
    "the bases of a class": (
        lambda x: x * len(Cube.__mro__),
        lambda: put(Cube, "__bases__", (Circle, Square)),
    ),
    "what an object is copied from": (
        lambda x: x * copy.copy(SETTINGS).scale,
        lambda: put(SETTINGS, "scale", 3.0),
    ),
    "what objects in a list are copied from": (
        lambda x: x * copy.deepcopy([SETTINGS])[0].scale,
        lambda: put(SETTINGS, "scale", 3.0),
    ),
    "the text of an object": (lambda x: x * len(repr(SETTINGS)), lambda: put(SETTINGS, "scale", 3.125)),
    "an attribute that is looked up below": (
        lambda x: x * object.__getattribute__(SETTINGS, "scale"),
        lambda: put(SETTINGS, "scale", 3.0),
    ),
    "what a class holds": (
        lambda x: x * len(Settings.__dict__) + ("more" in vars(Settings)),
        lambda: mock.patch.object(Settings, "more", 1, create=True),
    ),
    "what the class of an object holds": (
        lambda x: x * sum(isinstance(item, types.FunctionType) for item in type(SETTINGS).__dict__.values()),
        lambda: mock.patch.object(Settings, "more", lambda self: 1, create=True),
    ),
    "the types of a function's arguments": (
        lambda x: x * len(typing.get_type_hints(helper)),
        lambda: put(helper, "__annotations__", {}),
    ),
    "whether an array may be written": (
        lambda x: x + 1 if NUMBERS.flags.writeable else x,
        lambda: put(NUMBERS.flags, "writeable", False),
    ),
    "where a tensor begins": (
        lambda x: x * TENSOR.storage_offset(),
        lambda: mock.patch.dict(globals(), TENSOR=torch.ones(8)[2:4]),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_is_seen(name: str) -> None:
    function, change = CASES[name]
    static = d2s.to_static(function)
    first = function(X)
    assert same(static(X), first)
    with change():
        assert not same(function(X), first)
        assert same(static(X), function(X))
    assert same(static(X), first)
    assert len(static.programs) == 2


def test_whether_a_lock_is_held() -> None:
    static = d2s.to_static(lambda x: x + 1 if LOCK.locked() else x)
    assert same(static(X), X)
    with LOCK:
        assert same(static(X), X + 1)
    assert same(static(X), X)


def test_classes_that_are_registered_later() -> None:
    def counts(x):
        if isinstance(CIRCLE, (int, Shape)):
            x = x + 1
        return x + 2 if issubclass(Circle, collections.abc.Sized | Shape) else x

    static = d2s.to_static(counts)
    assert same(static(X), X)
    Shape.register(Circle)
    assert same(static(X), X + 3)


def test_classes_that_are_derived_later() -> None:
    class Base:
        pass

    static = d2s.to_static(lambda x: x * len(Base.__subclasses__()))
    assert same(static(X), X * 0)
    kept = type("Derived", (Base,), {})
    assert same(static(X), X)
    del kept


def test_a_cache_that_is_cleared_or_forgets() -> None:
    scale = [2.0]

    @functools.lru_cache(maxsize=1)
    def mask(size, k=1.0):
        return torch.full((size,), k * scale[0])

    def masked(x):
        return x * mask(2, k=2.0) if x.sum() > 0 else x - mask(2, k=2.0)

    static = d2s.to_static(masked, full_graph=True)
    for _ in range(2):
        assert same(static(X), masked(X))
        assert same(static(-X), masked(-X))
        scale[0] += 1.0
    assert len(static.programs) == 1
    mask.cache_clear()
    assert same(static(X), X * 8)
    scale[0] += 1.0
    mask(3)
    assert same(static(X), X * 10)


@pytest.mark.parametrize("ask", [lambda t: t._version, lambda t: t.is_shared(), lambda t: t.is_set_to(t)])
def test_what_only_the_tensor_of_the_run_can_tell(ask: Callable[[Any], Any]) -> None:
    TENSOR.add_(0)
    static = d2s.to_static(lambda x: x + ask(TENSOR))
    with pytest.warns(d2s.FallbackWarning, match="D2S101"):
        assert same(static(X), X + ask(TENSOR))


def test_a_class_does_not_show_that_it_is_watched() -> None:
    static = d2s.to_static(lambda x: x * len(vars(Settings)) + ("__getattribute__" in Settings.__dict__))
    assert same(static(X), X * len(vars(Settings)))


@pytest.mark.parametrize("clears", [False, True])
def test_a_cached_function_that_writes_does_it_once(clears: bool) -> None:
    def world() -> tuple[list[int], Callable[[Any], Any]]:
        calls: list[int] = []

        @functools.lru_cache
        def counted(size):
            calls.append(size)
            return size * 2

        def uses(x):
            y = x * counted(3) if x.sum() > 0 else x - counted(4)
            if clears:
                counted.cache_clear()
            return y

        return calls, uses

    (calls, static), (eager_calls, eager) = world(), world()
    static = d2s.to_static(static)
    with pytest.warns(d2s.FallbackWarning, match="D2S307"):
        for x in (X, -X, X):
            assert same(static(x), eager(x))
            assert calls == eager_calls


def test_a_class_that_is_registered_by_the_function() -> None:
    class Known(abc.ABC):
        pass

    def registers(x):
        before = isinstance(SQUARE, Known)
        Known.register(Square)
        return x + before

    static = d2s.to_static(registers)
    with pytest.warns(d2s.FallbackWarning, match="D2S308"):
        assert same(static(X), X)
        assert same(static(X), X + 1)

"""What Python looks up in classes by itself: another special method, or a new one, gives eager's new answer."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import same

import d2s

X = torch.tensor([1.0, 2.0])


class Metaclass(type):
    limit = 2.0

    @property
    def twice(cls):
        return cls.scale * 2

    def __getitem__(cls, key):
        return key * cls.scale

    def __len__(cls):
        return int(cls.scale)

    def __contains__(cls, x):
        if x.sum() > cls.scale:
            return True
        return False

    def __getattr__(cls, name):
        if name == "late":
            return cls.scale * 3
        raise AttributeError(name)

    def __setattr__(cls, name, value):
        type.__setattr__(cls, name, value * 10 if name == "tenfold" else value)


class Scaled(metaclass=Metaclass):
    scale = 2.0


class Base:
    def __init__(self, k: Any) -> None:
        self.k = k

    def __add__(self, other):
        return other + self.k

    __radd__ = __add__

    def __getitem__(self, index):
        if index > 2:
            raise IndexError
        return index

    def __call__(self, x):
        return x * 3


class Derived(Base):
    pass


class Mapping(dict):
    pass


class Sequence(list):
    pass


class Number(int):
    def more(self):
        return self + 1


class Tagged(torch.Tensor):
    def halved(self):
        return self / 2


class Color(enum.Enum):
    RED = 1

    @property
    def shade(self):
        return self.value * 2


THING: Any = Derived(2.0)
TABLE, ITEMS, NUMBER = Mapping(a=1.0), Sequence([1.0, 2.0]), Number(3)
TENSOR = torch.ones(2).as_subclass(Tagged)

# What a function does, and the entry of a class that is replaced, or added, after its first call.
CASES: dict[str, tuple[Callable[[Any], Any], type, str, Any]] = {
    "a property of a metaclass": (lambda x: x * Scaled.twice, Metaclass, "twice", property(lambda cls: cls.scale)),
    "data of a metaclass": (lambda x: x * Scaled.limit, Metaclass, "limit", 7.0),
    "what a property of a metaclass reads": (lambda x: x * Scaled.twice, Scaled, "scale", 3.0),
    "an item of a class": (lambda x: Scaled[x], Metaclass, "__getitem__", lambda cls, key: key - 1),
    "what a class says is in it": (lambda x: x + (X in Scaled), Scaled, "scale", 5.0),
    "the length of a class": (lambda x: x * len(Scaled), Scaled, "scale", 3.0),
    "`__getattr__` of a metaclass": (lambda x: x * Scaled.late, Metaclass, "__getattr__", lambda cls, name: 7.0),
    "whether a class is true": (lambda x: x + 1 if bool(Scaled) else x, Metaclass, "__bool__", lambda cls: False),
    "what an instance is": (
        lambda x: x + 1 if isinstance(THING, Scaled) else x,
        Metaclass,
        "__instancecheck__",
        lambda cls, thing: True,
    ),
    "`__init__`": (lambda x: Base(x).k, Base, "__init__", lambda self, k: setattr(self, "k", k * 2)),
    "`__init__` of a derived class": (
        lambda x: type(THING)(x).k,
        Derived,
        "__init__",
        lambda self, k: setattr(self, "k", k * 2),
    ),
    "an operator": (lambda x: THING + x, Base, "__add__", lambda self, other: other * 9),
    "an operator from the other side": (lambda x: x + THING, Base, "__radd__", lambda self, other: other * 9),
    "an operator that a class hides": (lambda x: THING + x, Derived, "__add__", lambda self, other: other * 9),
    "a call": (lambda x: THING(x), Derived, "__call__", lambda self, x: x - 5),
    "what an object is equal to": (
        lambda x: x + 1 if THING == Derived(2.0) else x,
        Base,
        "__eq__",
        lambda self, other: True,
    ),
    "whether an object is true": (lambda x: x + 1 if THING else x, Base, "__bool__", lambda self: False),
    "whether an object is empty": (lambda x: x + 1 if THING else x, Derived, "__len__", lambda self: 0),
    "what is in an object": (lambda x: x + 1 if 1 in THING else x, Base, "__contains__", lambda self, item: False),
    "what a loop gets": (lambda x: x * sum(THING), Base, "__iter__", lambda self: iter([5])),
    "what is not there": (lambda x: x + getattr(THING, "late", 1), Base, "__getattr__", lambda self, name: 7),
    "an item of a dict": (lambda x: x + TABLE["a"], Mapping, "__getitem__", lambda self, key: 8.0),
    "a method of dicts": (lambda x: x + TABLE.get("a"), Mapping, "get", lambda self, key: 8.0),
    "a loop over a list": (lambda x: x + sum(ITEMS), Sequence, "__iter__", lambda self: iter([8.0])),
    "a method of lists": (lambda x: x + ITEMS.index(1.0), Sequence, "index", lambda self, item: 9),
    "a method of a number": (lambda x: x * NUMBER.more(), Number, "more", lambda self: 9),
    "an operator of a number": (lambda x: x * (NUMBER * 2), Number, "__mul__", lambda self, other: 9),
    "a method of a tensor's class": (lambda x: x + TENSOR.halved(), Tagged, "halved", lambda self: self * 5),
    "a method of tensors": (lambda x: x + TENSOR.sin(), Tagged, "sin", lambda self: self * 5),
    "a property of a member": (lambda x: x * Color.RED.shade, Color, "shade", property(lambda self: 9)),
}


@pytest.mark.parametrize("name", CASES)
def test_another_entry_of_a_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function, cls, entry, new = CASES[name]
    static = d2s.to_static(function)
    first = function(X)
    assert same(static(X), first)
    with monkeypatch.context() as patch:
        patch.setattr(cls, entry, new, raising=False)
        assert not same(function(X), first)
        assert same(static(X), function(X))
    assert same(static(X), first)
    assert len(static.programs) == 2


def test_a_recording_asks_no_metaclass_for_its_own_writes() -> None:
    assert same(d2s.to_static(lambda x: Scaled[x])(X), X * 2)
    assert Scaled.scale == 2.0
    assert set(vars(Metaclass)) >= {"__setattr__", "__getitem__"}
    Scaled.tenfold = 1
    assert Scaled.tenfold == 10


def test_a_new_entry_that_nothing_looks_up_needs_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    static = d2s.to_static(lambda x: THING + x)
    static(X)
    monkeypatch.setattr(Base, "unheard_of", 1, raising=False)
    static(X)
    assert len(static.programs) == 1


class Counting:
    """Counts how often it is asked, and answers with that."""

    def __init__(self) -> None:
        self.asked = 0

    def _ask(self, *_: Any) -> Any:
        self.asked += 1
        return self.asked

    __int__ = __index__ = __len__ = __hash__ = __abs__ = __round__ = _ask

    def __float__(self):
        return float(self._ask())

    def __str__(self):
        return str(self._ask())

    def __format__(self, specification):
        return f"{self._ask()}{specification}"


def asks_for_numbers(counting):
    return int(counting) + float(counting) + len(counting) + abs(counting) + round(counting)


def asks_for_texts(counting):
    return len(str(counting)) + len(f"{counting}{counting:>}")


def sets_a_name(counting):
    def made():
        pass

    made.__name__ = "name" + str(counting)
    return len(made.__name__)


@pytest.mark.parametrize(
    ("ask", "code"),
    [(asks_for_numbers, ""), (asks_for_texts, ""), (hash, "D2S101"), (sets_a_name, "D2S102")],
)
def test_what_special_methods_answer_may_be_known_only_at_run_time(ask: Callable[[Any], Any], code: str) -> None:
    static_counting, counting = Counting(), Counting()
    static = d2s.to_static(lambda x: x * ask(static_counting))
    with pytest.warns(d2s.FallbackWarning, match=code) if code else contextlib.nullcontext():
        for _ in range(3):
            assert same(static(X), X * ask(counting))
            assert static_counting.asked == counting.asked


class Wrong:
    def __len__(self):
        return -1

    def __float__(self):
        return "no float"


def test_special_methods_that_answer_what_python_does_not_take() -> None:
    wrong: Any = Wrong()

    def asks(x):
        texts = []
        for function in (len, float):
            try:
                function(wrong)
            except (TypeError, ValueError) as error:
                texts.append(str(error))
        return x, texts

    assert same(d2s.to_static(asks)(X), asks(X))


def test_another_text_of_a_dataclass():
    @dataclasses.dataclass
    class Settings:
        scale: int = 1

    def shows(x, settings):
        return x, repr(settings), f"{settings}"

    static, settings = d2s.to_static(shows, full_graph=True), Settings()
    assert static(X, settings)[1].endswith("Settings(scale=1)")
    Settings.__repr__ = lambda self: "new"  # type: ignore[method-assign]
    assert same(static(X, settings), (X, "new", "new"))

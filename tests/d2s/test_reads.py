"""Whatever a recording reads is guarded: each kind of object, changed between calls, gives eager's new answer."""

from __future__ import annotations

import argparse
import array
import collections
import contextvars
import ctypes
import decimal
import enum
import functools
import hashlib
import io
import mmap
import operator
import queue
import struct
import threading
import types
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
import pytest
import torch
from compare import same
from torch.overrides import has_torch_function, has_torch_function_unary, has_torch_function_variadic

import d2s

X = torch.tensor([1.0, 2.0])

Case = tuple[str, Callable[[torch.Tensor], Any], Callable[[], Any], Callable[[], Any]]


class Plain:
    def __init__(self, k: Any = 2.0) -> None:
        self.k = k

    def step(self, x):
        return x + self.k

    @property
    def twice(self):
        return 2 * self.k

    @staticmethod
    def flat(x):
        return x - 1

    @classmethod
    def made(cls, x):
        return x * 3


class Slotted:
    __slots__ = ("k", "other")

    def __init__(self) -> None:
        self.k = 2.0


class Lazy:
    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return 3.0


class Counting(dict):
    factor = 1.0


@dataclass(slots=True)
class Data:
    k: float = 2.0


class Kind(enum.Enum):
    A = 1


member: Any = Kind.A


class Descriptor:
    def __init__(self) -> None:
        self.k = 2.0

    def __get__(self, instance, owner):
        return self.k


class Described:
    d = Descriptor()


def reset(owner: Any, name: str, value: Any) -> Callable[[], Any]:
    return lambda: setattr(owner, name, value)


def drop(owner: Any, name: str) -> Callable[[], Any]:
    return lambda: delattr(owner, name)


def reads_k(thing: Any) -> Any:
    return lambda x: x * thing.k


def reads_first_k(held: Any) -> Any:
    return lambda x: x * held[0].k


def sums_k(held: Any) -> Any:
    return lambda x: x * sum(one.k for one in held)


def asks_for_late(thing: Any) -> Any:
    return lambda x: x * 2 if hasattr(thing, "late") else x


def late_or_default(thing: Any) -> Any:
    return lambda x: x * getattr(thing, "late", 3.0)


def holders() -> list[Any]:
    """Objects that keep attributes each in their way, with 2.0 as `k`."""
    found: list[Any] = [Plain(), Slotted(), Data(), types.SimpleNamespace(), argparse.Namespace(), Described()]
    for thing in found:
        thing.k = 2.0
    return found


def attributes() -> Iterator[Case]:
    for thing in holders():
        yield type(thing).__name__, reads_k(thing), reset(thing, "k", 5.0), reset(thing, "k", 2.0)
        held = [thing]
        yield (
            f"{type(thing).__name__} in a list",
            reads_first_k(held),
            reset(thing, "k", 5.0),
            reset(thing, "k", 2.0),
        )
    for thing in (Plain(), types.SimpleNamespace(), torch.nn.Module(), torch.ones(1), type("T", (), {})):  # type: Any
        changes = reset(thing, "late", 5.0), drop(thing, "late")
        name = type(thing).__name__
        yield f"hasattr of {name}", asks_for_late(thing), *changes
        yield f"default of {name}", late_or_default(thing), *changes
    slotted, lazy, local = Slotted(), Lazy(), threading.local()
    local.k = 2.0
    yield (
        "an empty slot",
        lambda x: x * getattr(slotted, "other", 1.0),
        reset(slotted, "other", 4.0),
        drop(slotted, "other"),
    )
    yield "__getattr__", lambda x: x * lazy.k, reset(lazy, "k", 5.0), drop(lazy, "k")
    yield "threading.local", lambda x: x * local.k, reset(local, "k", 5.0), reset(local, "k", 2.0)
    described = Described()
    yield (
        "a descriptor",
        lambda x: x * described.d,
        reset(Described.__dict__["d"], "k", 5.0),
        reset(Described.__dict__["d"], "k", 2.0),
    )
    member.k = 2.0
    yield "a member of an Enum", lambda x: x * member.k, reset(member, "k", 5.0), reset(member, "k", 2.0)
    tagged: Any = torch.ones(2)
    tagged.k = 2.0
    yield "a tensor's attribute", lambda x: x * tagged.k, reset(tagged, "k", 5.0), reset(tagged, "k", 2.0)
    plain = Plain()
    yield "vars", lambda x: x * len(vars(plain)), reset(plain, "late", 1), drop(plain, "late")


def helper(x):
    return x * 10


marked: Any = helper
marked.k = 2.0


def defaulted(x, k=2.0, *, bias=1.0):
    return x * k + bias


def code() -> Iterator[Case]:
    model, step, flat, twice = Plain(), Plain.step, Plain.__dict__["flat"], Plain.twice
    yield "a method", lambda x: model.step(x), reset(Plain, "step", lambda self, x: x + 7), reset(Plain, "step", step)
    yield "a hidden method", lambda x: model.step(x), reset(model, "step", lambda x: x + 9), drop(model, "step")
    yield (
        "a property",
        lambda x: x * model.twice,
        reset(Plain, "twice", property(lambda self: 3)),
        reset(Plain, "twice", twice),
    )
    yield (
        "a static method",
        lambda x: model.flat(x),
        reset(Plain, "flat", staticmethod(lambda x: x - 9)),
        reset(Plain, "flat", flat),
    )
    made = Plain.__dict__["made"]
    yield (
        "a class method",
        lambda x: Plain.made(x),
        reset(Plain, "made", classmethod(lambda c, x: x * 4)),
        reset(Plain, "made", made),
    )
    yield (
        "code",
        lambda x: helper(x),
        reset(helper, "__code__", (lambda x: x * 99).__code__),
        reset(helper, "__code__", helper.__code__),
    )
    yield (
        "defaults",
        lambda x: defaulted(x),
        reset(defaulted, "__defaults__", (5.0,)),
        reset(defaulted, "__defaults__", (2.0,)),
    )
    named = {"bias": 1.0}
    yield (
        "named defaults",
        lambda x: defaulted(x),
        reset(defaulted, "__kwdefaults__", {"bias": 2.0}),
        reset(defaulted, "__kwdefaults__", named),
    )
    yield "an attribute of a function", lambda x: x * marked.k, reset(helper, "k", 5.0), reset(helper, "k", 2.0)
    bound, other = Plain().step, Plain(5.0)
    box = [bound]
    yield (
        "a bound method",
        lambda x: box[0](x),
        lambda: box.__setitem__(0, other.step),
        lambda: box.__setitem__(0, bound),
    )
    relu, linear = torch.nn.functional.relu, torch.nn.Linear.forward
    F, layer = torch.nn.functional, torch.nn.Linear(2, 2)
    yield (
        "a function of torch's",
        lambda x: torch.nn.functional.relu(x),
        reset(F, "relu", lambda x: x * 50),
        reset(F, "relu", relu),
    )
    yield (
        "a method of torch's",
        lambda x: layer(x),
        reset(torch.nn.Linear, "forward", lambda s, x: x),
        reset(torch.nn.Linear, "forward", linear),
    )
    net = torch.nn.Sequential(layer)
    hide = lambda: net.__dict__.__setitem__("0", torch.nn.Identity())
    yield "a hidden submodule", lambda x: getattr(net, "0")(x), hide, lambda: net.__dict__.pop("0")


def containers() -> Iterator[Case]:
    numbers = {1, 2}
    yield "a set", lambda x: x * 2 if 2 in numbers else x, lambda: numbers.remove(2), lambda: numbers.add(2)
    thing = Plain()
    change, back = reset(thing, "k", 5.0), reset(thing, "k", 2.0)
    for name, held in (("set", {thing}), ("keys", {thing: 1})):
        yield f"in a {name}", sums_k(held), change, back
    reference: Any = weakref.ref(thing)
    partial = functools.partial(lambda o, x: x * o.k, thing)
    objects = np.array([thing], dtype=object)
    yield "a weak reference", lambda x: x * reference().k, change, back
    yield "a partial", lambda x: partial(x), change, back
    yield "an array of objects", lambda x: x * objects[0].k, change, back
    table: dict[str, float] = {"k": 2.0}
    values, items, read = table.values(), table.items(), types.MappingProxyType(table)
    get = table.get
    change, back = (lambda: table.update(k=5.0)), (lambda: table.update(k=2.0))
    yield "values of a dict", lambda x: x * sum(values), change, back
    yield "items of a dict", lambda x: x * sum(v for _, v in items), change, back
    yield "a proxy", lambda x: x * read["k"], change, back
    yield "a built-in method", lambda x: x * get("k"), change, back
    ordered, user = collections.OrderedDict(a=1.0, b=2.0), collections.UserDict(a=1.0)
    last = lambda x: x * list(ordered.values())[-1]
    yield "the order of keys", last, lambda: ordered.move_to_end("a"), lambda: ordered.move_to_end("b")
    yield "a UserDict", lambda x: x * user.get("b", 3.0), lambda: user.update(b=7.0), lambda: user.pop("b")
    counter, counting = collections.Counter("ab"), Counting(k=1.0)
    yield "a Counter", lambda x: x * counter["a"], lambda: counter.update("a"), lambda: counter.subtract("a")
    yield (
        "a subclass of dict",
        lambda x: x * counting.factor,
        reset(counting, "factor", 3.0),
        drop(counting, "factor"),
    )
    missing: Any = collections.defaultdict(lambda: 2.0)
    yield (
        "a factory",
        lambda x: x * dict(missing).get("a", missing.default_factory()),
        reset(missing, "default_factory", lambda: 3.0),
        lambda: None,
    )
    row = collections.deque([1.0, 2.0])
    yield "a deque", lambda x: x * row[0], lambda: row.rotate(), lambda: row.rotate()
    block = array.array("d", [2.0])
    yield "an array", lambda x: x * block[0], lambda: block.__setitem__(0, 5.0), lambda: block.__setitem__(0, 2.0)


CASES = [*attributes(), *code(), *containers()]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_a_change_is_seen(case: Case) -> None:
    _, function, change, back = case
    static = d2s.to_static(function, full_graph=True)
    before = function(X)
    assert torch.equal(static(X), before) and torch.equal(static(X), before)
    assert len(static.programs) == 1
    try:
        change()
        assert not torch.equal(function(X), before)
        assert torch.equal(static(X), function(X))
    finally:
        back()
    assert torch.equal(static(X), function(X))


def test_nothing_is_captured_anew_for_what_was_not_read() -> None:
    thing = Plain()
    static = d2s.to_static(lambda x: x * thing.k, full_graph=True)
    static(X)
    reset(thing, "unread", 1)()
    reset(Plain, "unread", 2)()
    assert torch.equal(static(X), X * 2) and len(static.programs) == 1


PAIRS: dict[str, tuple[Callable[..., Any], Any, Any]] = {
    "a set": (lambda x, v: x * 2 if 2 in v else x, {1, 2}, {1, 3}),
    "a frozenset": (lambda x, v: x * 2 if 2 in v else x, frozenset({1, 2}), frozenset({1, 3})),
    "a slice": (lambda x, v: x[v], slice(0, 1), slice(1, 2)),
    "a range": (lambda x, v: x * sum(v), range(3), range(4)),
    "a method of a tensor": (lambda x, v: v(x, x), torch.Tensor.add, torch.Tensor.mul),
    "a method of a text": (lambda x, v: x * ("A" == v("a")), str.upper, str.lower),
    "a layout": (lambda x, v: x if v is torch.strided else -x, torch.strided, torch.sparse_coo),
    "a scalar of numpy's": (lambda x, v: x * float(v), np.float32(2), np.float32(3)),
    "finfo": (lambda x, v: x * v.bits, torch.finfo(torch.float32), torch.finfo(torch.float16)),
    "a partial": (
        lambda x, v: v(x),
        functools.partial(torch.mul, other=2.0),
        functools.partial(torch.mul, other=5.0),
    ),
    "an exception": (lambda x, v: x * v.args[0], ValueError(2.0), ValueError(5.0)),
    "a type with arguments": (lambda x, v: x if v == list[int] else -x, list[int], list[str]),
    "a union": (lambda x, v: x if v == int | str else -x, int | str, int | float),
    "keys of other classes": (lambda x, v: x * 2 if type(next(iter(v))) is int else x, {1: 2}, {True: 2}),
    "a complex number": (lambda x, v: x * v.imag, 1 + 2j, 1 + 5j),
}


@pytest.mark.parametrize("name", PAIRS)
def test_another_argument_is_another_signature(name: str) -> None:
    function, *values = PAIRS[name]
    static = d2s.to_static(function, full_graph=True)
    for value in [*values, *values]:
        assert torch.equal(static(X, value), function(X, value))
    assert len(static.programs) == 2


def test_the_default_device() -> None:
    static = d2s.to_static(lambda x: x * 2 if torch.zeros(1).is_meta else x - 1, full_graph=True)
    assert torch.equal(static(X), X - 1)
    with torch.device("meta"):
        assert torch.equal(static(X), X * 2)
    assert torch.equal(static(X), X - 1) and len(static.programs) == 2


def test_settings_of_torch() -> None:
    def asks(x):
        if torch.are_deterministic_algorithms_enabled():
            x = x * 3
        return x * 5 if torch.backends.cudnn.benchmark else x

    static = d2s.to_static(asks, full_graph=True)
    assert torch.equal(static(X), X)
    with torch.backends.cudnn.flags(benchmark=True):
        assert torch.equal(static(X), X * 5)
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.equal(static(X), X * 3)
    finally:
        torch.use_deterministic_algorithms(False)


class Pair:
    def __init__(self, n: int) -> None:
        self.n = n


def hashes_tensors(a, b):
    return a + len({a, b}) + {a: 1, b: 2}[a] + (a in {b})


def writes_objects(a, b):
    a.n += 1
    b.n += 10
    return torch.ones(1) * a.n + b.n


def compares_objects(a, b):
    return torch.ones(1) * (2 if a is b else 3)


def writes_lists(a, b):
    a.append(1)
    return torch.ones(1) * len(b)


def counts_objects(a, b):
    return torch.ones(1) * len({a, b})


@pytest.mark.parametrize(
    ("function", "make"),
    [
        (hashes_tensors, lambda: torch.zeros(1)),
        (writes_objects, lambda: Pair(1)),
        (compares_objects, lambda: Pair(1)),
        (counts_objects, lambda: Pair(1)),
        (writes_lists, lambda: [0, 0]),
    ],
)
@pytest.mark.parametrize("held", [False, True])
def test_one_object_where_two_were(function: Any, make: Any, held: bool) -> None:
    seen = []
    for static in (False, True):
        within: Any = (lambda pair: function(*pair)) if held else function
        called = d2s.to_static(within, full_graph=True) if static else within
        found = []
        for same_one in (False, True, False, True):
            a = make()
            b = a if same_one else make()
            found.append(float(called((a, b)) if held else called(a, b)))
        seen.append(found)
    assert seen[0] == seen[1]


def asks_who_takes_part(x):
    factor = 2 if has_torch_function_unary(x) else 1
    return x * factor, has_torch_function((x, 1)), has_torch_function_variadic(x + 1, 3)


def test_a_recording_hides_that_it_goes_on() -> None:
    want, got = (f(torch.ones(1)) for f in (asks_who_takes_part, d2s.to_static(asks_who_takes_part, full_graph=True)))
    assert repr(got) == repr(want)


OF_LIBRARIES = [
    (queue.SimpleQueue, lambda thing: thing.qsize(), lambda thing: thing.put(1)),
    (lambda: Element("a", n="1"), lambda thing: int(thing.get("n")), lambda thing: thing.set("n", "5")),
    (lambda: Element("a"), len, lambda thing: thing.append(Element("b"))),
    (lambda: hashlib.md5(b"a"), lambda thing: thing.digest()[0], lambda thing: thing.update(b"c")),
    (lambda: (ctypes.c_int * 3)(), lambda thing: thing[0], lambda thing: thing.__setitem__(0, 7)),
    (lambda: mmap.mmap(-1, 10), lambda thing: thing[0], lambda thing: thing.write(b"x")),
    (lambda: decimal.Context(prec=5), lambda thing: thing.prec, lambda thing: setattr(thing, "prec", 7)),
    (lambda: struct.Struct("i"), lambda thing: thing.size, lambda thing: thing.__init__("q")),
    (lambda: io.StringIO("abc"), lambda thing: thing.tell(), lambda thing: thing.seek(2)),
    (contextvars.copy_context, len, lambda thing: thing.run(contextvars.ContextVar("new").set, 1)),
    (lambda: operator.itemgetter(1), lambda thing: thing([1, 2]), lambda thing: None),
]


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize(("make", "read", "change"), OF_LIBRARIES, ids=map(str, range(len(OF_LIBRARIES))))
def test_objects_of_libraries(make: Any, read: Any, change: Any) -> None:
    found = []
    for static in (False, True):
        thing = make()

        def reads(x, thing=thing):
            return x * read(thing)

        called: Any = d2s.to_static(reads) if static else reads
        answers = [float(called(torch.ones(1))) for _ in range(2)]
        change(thing)
        found.append([*answers, float(called(torch.ones(1)))])
    assert found[0] == found[1]


def test_an_object_of_a_library_may_be_handed_on() -> None:
    handle = queue.SimpleQueue()  # type: ignore[var-annotated]

    def hands_on(x):
        return x * 2, handle

    static = d2s.to_static(hands_on, full_graph=True)
    assert static(torch.ones(1))[1] is handle


def probabilities(x):
    return torch.nn.Softmax(-1)(x.relu()) + x.sum()


@pytest.mark.parametrize("place", [(torch.Tensor, "relu"), (torch.Tensor, "sum"), (torch.nn.functional, "softmax")])
def test_a_patch_of_what_torch_calls(place: tuple[Any, str]) -> None:
    static, x = d2s.to_static(probabilities, full_graph=True), torch.tensor([1.0, -2.0])
    (owner, name), original = place, getattr(*place)
    for patched in (False, True, False):
        with pytest.MonkeyPatch.context() as patches:
            if patched:
                patches.setattr(owner, name, lambda *args, **kwargs: original(*args, **kwargs) * 3)
            torch.testing.assert_close(static(x), probabilities(x), rtol=0, atol=0)


class Scaled(list):
    factor = 1

    def __getitem__(self, place):
        return list.__getitem__(self, place) * self.factor

    def __iter__(self):
        return (item * self.factor for item in list.__iter__(self))

    def __len__(self):
        return 1 + list.__len__(self)


class Backwards(dict):
    factor = 1

    def __getitem__(self, key):
        return dict.__getitem__(self, key) * self.factor

    def __iter__(self):
        return iter(sorted(dict.keys(self), reverse=True))

    def keys(self):
        return list(self)

    def __contains__(self, key):
        return key == "z" or dict.__contains__(self, key)


class Threefold(tuple):
    def __getitem__(self, place):
        return tuple.__getitem__(self, place) * 3

    def __len__(self):
        return 9


class Big(set):
    def __contains__(self, item):
        return item > 5 or set.__contains__(self, item)

    def __iter__(self):
        return iter(sorted(set.__iter__(self))[:1])


def test_containers_that_say_themselves_how_they_are_walked_through() -> None:
    numbers, table, triple, big = Scaled([1, 2]), Backwards(a=1, b=2), Threefold((1, 2)), Big({2, 4})

    def reads(x):
        first, *rest = numbers
        of_list = numbers[0], sum(numbers), len(numbers), first, rest, [*numbers], list(zip(numbers, numbers))
        of_dict = table["a"], "z" in table, list(table), list(table.keys()), list(table.values()), {**table}
        of_others = triple[1], len(triple), list(triple), 7 in big, 2 in big, 4 in big, sorted(big)
        return x * sum(numbers), of_list, of_dict, of_others

    static = d2s.to_static(reads, full_graph=True)
    for change in (
        lambda: None,
        lambda: list.append(numbers, 5),
        lambda: setattr(numbers, "factor", 2),
        lambda: setattr(table, "factor", 3),
        lambda: dict.__setitem__(table, "c", 4),
        lambda: set.add(big, 3),
    ):
        change()
        assert same(static(torch.ones(2)), reads(torch.ones(2)))
    assert len(static.programs) == 6

"""What a call writes to the user's objects is the same as in eager, at every call, and is written by nobody twice."""

from __future__ import annotations

import collections
import copy
import dataclasses
import functools
import heapq
import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from compare import detached, same
from torch.utils._python_dispatch import TorchDispatchMode

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


# ------------------------------------------------------------------ by code that is not rewritten


def out(s, x):
    np.add(s["array"], 1, out=s["array"])
    return x + float(s["array"].sum())


def copied_into(s, x):
    np.copyto(s["array"], s["array"] * 2 + 1)
    return x


def reshaped(s, x):
    s["array"].shape = s["array"].shape[::-1]
    return x


def in_a_thread(s, x):
    one = threading.Thread(target=s["list"].append, args=(1,))
    one.start()
    one.join()
    return x * len(s["list"])


def in_vmap(s, x):
    return torch.vmap(lambda v: (s["list"].append(1), v)[1])(x)


def by_a_library(s, x):
    s["random"].shuffle(s["list"])
    heapq.heapify(s["list"])
    return x * s["list"][0]


def draws(s, x):
    return x * s["random"].random() + float(s["generator"].random())


def seeds(s, x):
    s["torch"].manual_seed(3)
    return x + torch.rand(2, generator=s["torch"])


def prints(s, x):
    torch.set_printoptions(precision=len(s["list"]))
    return x


def attribute_of_a_function(s, x):
    functools.update_wrapper(s["function"], s["other"])
    return x


def in_a_mode(s, x):
    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            s["list"].append(1)
            return function(*args, **(kwargs or {}))

    with Names():
        return x + 1


UNSEEN = [out, copied_into, reshaped, in_a_thread, in_vmap, by_a_library, draws, seeds, attribute_of_a_function]
UNSEEN += [prints, in_a_mode]


def world() -> dict[str, Any]:
    return {
        "array": np.arange(6.0).reshape(2, 3),
        "list": [3, 1, 2],
        "random": random.Random(0),
        "generator": np.random.default_rng(0),
        "torch": torch.Generator(),
        "function": lambda: None,
        "other": lambda: 1,
    }


def seen_of(thing: dict[str, Any]) -> Any:
    array, generators = thing["array"], (thing["random"].getstate(), thing["generator"].bit_generator.state)
    drawn = thing["torch"].get_state().tolist()
    held = (array.tolist(), list(thing["list"]), drawn, len(vars(thing["function"])), torch.get_num_threads())
    return repr((held, generators, vars(torch._tensor_str.PRINT_OPTS)))


@pytest.fixture(autouse=True)
def _usual_settings() -> Iterator[None]:
    yield
    torch.set_printoptions(profile="default")


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("act", UNSEEN)
def test_what_other_code_changes_is_changed_at_each_call(act: Callable[..., Any]) -> None:
    seen = []
    for function in (act, d2s.to_static(act)):
        thing = world()
        torch.set_printoptions(profile="default")
        x = torch.tensor([1.0, 2.0])
        seen.append([(function(thing, each), seen_of(thing)) for each in (x, -x, x)])
    assert same(seen[0], seen[1])


@pytest.mark.parametrize("act", UNSEEN)
def test_a_capture_that_is_given_up_leaves_everything_as_it_was(act: Callable[..., Any]) -> None:
    def gives_up(s, x):
        answer = act(s, x)
        s["list"].append(4)
        s["new"] = answer
        return answer if eval("True") else x

    thing = world()
    before = seen_of(thing)
    with pytest.raises(d2s.ConversionError):
        d2s.to_static(gives_up, full_graph=True)(thing, torch.ones(2))
    assert seen_of(thing) == before and "new" not in thing


# ------------------------------------------------------------------ attributes that are put on tensors


def tags_its_answer(x, p):
    y = x + 1
    y.tag, y.part = "a", x / 2
    return y, [y]


def tags_its_argument(x, p):
    x.calls = getattr(x, "calls", 0) + 1
    return x * x.calls


def tags_a_parameter(x, p):
    p.seen = x * 2
    return x


def tags_on_one_side(x, p):
    y = x * 2
    if x.sum() > 0:
        y.tag = x
    z = y if hasattr(y, "tag") else y + 1
    del x.calls
    return z


def tagged_by_a_side(x, p):
    if x.sum() > 0:
        y = x * 2
        y.factor = 3
    else:
        y = x * 4
        y.factor = 5
    return y * y.factor, y


def tags_of(tensor: torch.Tensor) -> Any:
    return {name: getattr(tensor, name, None) for name in ("tag", "part", "calls", "seen", "factor")}


@pytest.mark.parametrize("backend", ["torch", "inductor"])
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize(
    "act", [tags_its_answer, tags_its_argument, tags_a_parameter, tags_on_one_side, tagged_by_a_side]
)
def test_attributes_of_tensors(act: Callable[..., Any], requires_grad: bool, backend: str) -> None:
    seen: list[Any] = []
    for function in (act, d2s.to_static(act, full_graph=True, backend=backend)):
        p = torch.nn.Parameter(torch.ones(2))
        found: list[Any] = []
        for value in (1.0, -1.0, 2.0):
            x = torch.full((2,), value, requires_grad=requires_grad)
            x.calls = 1
            answer = function(x, p)
            first = answer[0] if isinstance(answer, tuple) else answer
            found.append((answer, tags_of(first), tags_of(x), tags_of(p)))
        seen.append(detached(found))
    assert same(seen[0], seen[1])


# ------------------------------------------------------------------ parameters and buffers that a call makes


def made(x):
    layer = torch.nn.Linear(2, 2)
    scale = torch.nn.Parameter(x * 2 if x.sum() > 0 else x)
    return (scale * 3).sum(), scale, torch.nn.Parameter(x, requires_grad=False), torch.nn.Buffer(x + 1), layer


class Renewed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.register_buffer("mean", torch.zeros(2))

    def forward(self, x):
        if x.sum() > 0:
            self.weight = torch.nn.Parameter(x.detach() * 2)
            self.mean = torch.nn.Buffer(x + 1)
        return (self.weight * 3).sum() + self.mean.sum(), self.weight, self.mean


@pytest.mark.parametrize("backend", ["torch", "inductor"])
@pytest.mark.parametrize("make", [lambda: made, Renewed])
def test_parameters_that_are_made_inside(make: Callable[[], Any], backend: str) -> None:
    seen: list[Any] = []
    for form in (lambda f: f, functools.partial(d2s.to_static, full_graph=True, backend=backend)):
        torch.manual_seed(0)
        function, found = form(make()), []
        for value in (1.0, -1.0, 2.0):
            torch.manual_seed(1)
            total, *parts = function(torch.tensor([value, 0.5]))
            total.backward()
            tensors = [part.weight if isinstance(part, torch.nn.Module) else part for part in parts]
            kinds = [(isinstance(p, torch.nn.Parameter), isinstance(p, torch.nn.Buffer), p.is_leaf) for p in tensors]
            found.append((total, tensors, kinds, [p.grad for p in tensors]))
        seen.append(detached(found))
    assert same(seen[0], seen[1], 1e-6)

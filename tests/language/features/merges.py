"""What a branch or a loop leaves one or another of: lists, dicts, objects, flags, enums; and sides that raise."""

import dataclasses
import enum
from dataclasses import dataclass

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


@dataclass
class State:
    value: torch.Tensor
    steps: int = 0


class Mode(enum.Enum):
    UP = 1
    DOWN = 2


@feature("a dict that each trip makes anew", X, X * 9)
def dict_of_state(x):
    state = {"x": x, "n": 0}
    while state["x"].abs().sum() > 1:
        state = {"x": state["x"] / 2, "n": state["n"] + 1}
    return state


@feature("a dataclass that each trip makes anew", X, X * 9, grad=True)
def dataclass_of_state(x):
    state = State(x)
    while state.value.abs().sum() > 1:
        state = State(state.value / 2, state.steps + 1)
    return state.value, state.steps


@feature("a list of fixed length that each trip makes anew", X, X * 9)
def list_of_state(x):
    pair = [x, x * 0]
    while pair[0].abs().sum() > 1:
        pair = [pair[0] / 2, pair[0]]
    return pair[0] - pair[1], pair


@feature("one list or another, changed afterwards", X, -X)
def changed_after(x):
    a, b = [x], [x, x + 1]
    both = [a, b]
    chosen = a if x.sum() > 0 else b
    chosen.append(x * 2)
    return both, len(chosen)


@feature("one dict or another of the same keys, changed afterwards", X, -X)
def dict_changed_after(x):
    a, b = {"k": x}, {"k": x + 1}
    chosen = a if x.sum() > 0 else b
    chosen["k"] = x * 5
    return a, b, chosen


@feature("one list or another, compared by `is`", X, -X)
def compared_by_is(x):
    a, b = [x], [x + 1]
    chosen = a if x.sum() > 0 else b
    return chosen, chosen is a, chosen is b


@feature("a flag that is a bool or a tensor", X, -X, X * 9)
def flag_of_two_kinds(x):
    accept = x.sum() <= 10
    if x[0] < 0:
        accept = True
    if x[2] > 20:
        accept = False
    return x * 2 if accept else x, accept


@feature("a number or a tensor that is computed with", X, -X)
def number_or_tensor(x):
    scale = 2 if x.sum() > 0 else x.max()
    return x * scale, scale


@feature("a member of an enum, chosen by a tensor and compared", X, -X)
def chosen_mode(x):
    mode = Mode.UP if x.sum() > 0 else Mode.DOWN
    y = x + 1 if mode is Mode.UP else x - 1
    if mode == Mode.DOWN:
        y = y * 3
    return y, mode, isinstance(mode, Mode)


@feature("a member of an enum as a key", X, -X)
def mode_as_key(x):
    mode = Mode.UP if x.sum() > 0 else Mode.DOWN
    return x * {Mode.UP: 2, Mode.DOWN: 5}[mode]


@feature("asserts and raises between steps, in a loop and nested", X, -X, X * 9, X * 99, ways=4)
def checked(x):
    steps = 0
    while x.abs().sum() > 4:
        assert x[0] > -5, "low"
        if x[0] > 50:
            if x[1] < 0:
                raise ValueError(f"far: {x[0].item()}")
            x = x - 1
        x = x / 2
        steps += 1
        if steps > 3:
            raise RuntimeError("slow")
    assert x.sum() > -2
    return x, steps


@torch.no_grad()
def halved(x):
    if x.sum() > 1:
        return x / 2
    return x


@feature("a function under `torch.no_grad()` as its decorator", X, X * 9, grad=True)
def decorated(x):
    while x.sum() > 3:
        x = halved(x) + 0 * x
    return x


class Point:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


class Named(dict):
    def __init__(self, **items):
        super().__init__(items)
        self.count = len(items)


@feature("objects with slots, and of classes made of `dict`, handed back", X, -X)
def of_special_classes(x):
    size = x.sum()
    if size > 0:
        size = size * 2
    return Point(size, x), Named(a=size, b=1)


@feature("lists and dicts that a side makes and then changes", X, -X)
def made_and_changed(x):
    if x.sum() > 0:
        p = [5, [2, x]]
        p[0] += 1
        p[1][0] = 7
        p.reverse()
        d = {"a": 1, "b": x}
        d["a"] = 5
    else:
        p = [[3, x * 2], 1]
        p[0][1] = p[0][1] + 1
        d = {"a": 2, "b": x}
        d["b"] = d.pop("b") * 3
    return p, d


def _pair(first):
    pair = [first, 0]
    pair[1] = first + 1
    return pair


@dataclasses.dataclass
class Counted:
    item: object
    count: int = 0

    def __post_init__(self):
        self.count += 1


@feature("what functions and constructors make and then change, chosen by a branch", X, -X)
def made_by_functions(x):
    pair = _pair(1) if x.sum() > 0 else _pair(5)
    counted = Counted(x)
    if x[0] > 0:
        counted = dataclasses.replace(counted, count=5)
    return pair, counted.count, counted


@feature("one of two lists, which one side has changed", X, -X)
def one_of_two_changed(x):
    p, r = [1, 2], [3, 4]
    q = p
    if x.sum() > 0:
        p[0] = 9
    else:
        p = r
        p[1] = 8
    return p, q, r


@feature("what a `try` makes and changes on one path and then another", X, -X, -10 * X)
def made_in_a_try(x):
    try:
        p = [x * 2, 0]
        p[0] = x * 3
        if x.sum() > 0:
            raise ValueError("large")
        p[1] += 7
    except ValueError:
        p[1] -= 7
    try:
        q = [x, 0]
        q[0] = x * 3
        q[1] += 7
        if x.sum() < -10:
            raise KeyError("small")
    except ValueError:
        q = []
    return p, q

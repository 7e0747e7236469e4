"""Calls: recursion, decorators, lambdas, properties, descriptors, callbacks, operators of a class, generators."""

from __future__ import annotations

import functools
import itertools
import operator

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0])


def power(x, n):
    return x if n == 0 else power(x * x if x.sum() > 0 else -x, n - 1)


@feature("recursion bounded by a number", X, -X)
def recursion(x):
    return power(x, 4)


def halve(x, depth):
    if x.abs().sum() < 1:
        return x, depth
    return halve(x / 2, depth + 1)


@feature("a tail call that only a tensor stops", X, -X * 100, X / 100, ways=3, grad=True)
def tail_call(x):
    return halve(x, 0)


def greatest_divisor(a, b):
    return a if b == 0 else greatest_divisor(b, a % b)


@feature("a tail call in an expression, of numbers and of a function inside", X, -X * 100)
def tail_calls(x):
    def grown(v, steps=0, *, limit=50):
        if v.abs().sum() > limit:
            return v, steps
        return grown(v * 2, steps + 1, limit=limit)

    return greatest_divisor(int(x[0].abs()) * 12, 30), grown(x), grown(x, limit=9)


@feature("a method that calls itself last", X, -X * 9, grad=True)
class Refining(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def refine(self, x, tolerance, count=0):
        y = torch.tanh(self.linear(x))
        if (y - x).abs().max() < tolerance or count > 40:
            return y, count
        return self.refine(y, tolerance * 1.1, count=count + 1)

    def forward(self, x):
        return self.refine(x, 0.01)


def halved_and_more(x):
    if x.abs().sum() < 1:
        return x
    return halved_and_more(x / 2) + 1


@feature(
    "a recursion that only a tensor stops, which is no tail call",
    X,
    -X * 100,
    eager="how deep it goes must be known; write a loop",
    code="D2S207",
)
def no_tail_call(x):
    return halved_and_more(x)


def scaled_sum(x):
    total = x.sum()

    def double():
        nonlocal total
        total = total * 2

    double()
    return x * total


@feature("a function with variables of its own, called on one side", X, -X)
def called_on_one_side(x):
    return scaled_sum(x) if x.mean() > 0 else x


def logged(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        result = function(*args, **kwargs)
        if result.sum() > 0:
            result = result * 2
        return result

    return wrapper


def scaled(factor):
    def decorate(function):
        def wrapper(x, *rest, **named):
            return function(x * factor, *rest, **named)

        return wrapper

    return decorate


@logged
@scaled(3)
@logged
def stacked(x, *, bias=0.5):
    return torch.where(x > 0, x, x * 0.1) + bias


@feature("stacked decorators of the user", X, -X)
def decorators(x):
    return stacked(x, bias=1.0)


double, negate = (lambda v: v * 2 if v.sum() > 0 else v), (lambda v: -v if v.sum() > 0 else v + 1)


@feature("several lambdas on one line", X, -X)
def lambdas(x):
    return double(x), negate(x)


class Unit:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner=None):
        value = getattr(instance, self.name)
        return value / value.norm() if value.sum() > 0 else value

    def __set__(self, instance, value):
        setattr(instance, self.name, value + 1)


class Point:
    unit = Unit()

    def __init__(self, x):
        self.x = x
        self.unit = x

    @property
    def size(self):
        if self.x.sum() > 0:
            return self.x.norm()
        return self.x.sum()

    @size.setter
    def size(self, value):
        self.x = self.x * (value / self.x.norm())

    @classmethod
    def zero(cls):
        return cls(torch.zeros(3))

    @staticmethod
    def clip(x):
        return x.clamp(min=0) if x.mean() > 0 else x

    def __add__(self, other):
        return Point(self.x + other.x if self.x.sum() > 0 else self.x - other.x)

    def __getitem__(self, index):
        return self.x[index]

    def __len__(self):
        return self.x.shape[0]

    def __contains__(self, value):
        return (self.x == value).any()

    def __call__(self, y):
        return self.x + y if y.sum() > 0 else y

    def __getattr__(self, name):
        if name.startswith("times_"):
            return self.x * int(name[6:])
        raise AttributeError(name)

    def __lt__(self, other):
        return self.x.sum() < other.x.sum()


@feature("properties, descriptors and __getattr__", X, -X)
def attributes(x):
    point = Point(x)
    size = point.size
    point.size = 2.0
    return size, point.x, point.unit, point.times_3, getattr(point, "missing", None)


@feature("operators of a class", X, -X)
def operators(x):
    point = Point(x) + Point(x + 1)
    if 1.0 in point:
        return point(x)
    return point[0] + len(point), Point.clip(x), (Point.zero() + point).x, max(point, Point(x)).x


@feature("reduce, map, filter and zip with functions of the user", X, -X)
def higher_order(x):
    parts = list(map(double, x.unbind()))
    kept = [p for p in filter(lambda v: v > 0, parts)]
    total = functools.reduce(lambda a, b: a + b if a > b else a - b, parts)
    return total, len(kept), functools.reduce(operator.mul, parts), functools.partial(negate)(x)


@feature("itertools over tensors", X, -X)
def itertools_over(x):
    out = []
    for a, b in itertools.product(x, x[:2]):
        out.append(a * b if a > b else a + b)
    for a, b in itertools.pairwise(x):
        if a < b:
            out.append(a)
    for i, v in zip(itertools.count(1), x, strict=False):
        out.append(v * i)
    sums = list(itertools.accumulate(x))
    chained = list(itertools.chain(x, sums))
    return torch.stack(out[:6]), len(out), sums, chained, list(itertools.islice(x, 1, 3))


def bent(item):
    if item > 0:
        return item * 2
    return item - 1


def is_large(item):
    return item.abs() > 1


@feature("map and filter of casts and of functions that decide, wherever their items go", X, -X)
def mapped(x):
    first, second, third = map(float, x)
    total = x.sum()
    for place, (one, other) in enumerate(zip(map(bent, x), filter(is_large, x.repeat(2)), strict=False)):
        total = total + place * one * other
    lists = list(map(bent, x)), [*map(int, x.tolist())], tuple(map(abs, filter(None, x)))
    folds = sum(map(bent, x)), max(map(bent, x)), any(map(bool, x > 2)), ",".join(map(str, x.tolist()))
    pairs = dict(map(lambda place: (place, x[place].item()), range(3))), list(map(torch.add, x, x.flip(0)))
    iterator = map(bent, x)
    return first + second + third, total, lists, folds, pairs, next(iterator), list(iterator)


@feature("callbacks in a dict, chosen by a condition", X, -X)
def callbacks(x):
    table = {"up": double, "down": negate}
    chosen = table["up" if x.sum() > 0 else "down"]
    return chosen(x)


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x, *args, scale=1.0, **kwargs):
        y = self.inner(x) * scale
        for a in args:
            y = y + a
        return y if y.sum() > 0 else y * kwargs.get("slope", 0.1)


@feature("super, default and star arguments", X, -X)
class Deeper(Wrapped):
    def forward(self, x, *args, **kwargs):
        y = super().forward(x, x * 2, scale=2.0, slope=0.5)
        rest = (x,) if y.sum() > 0 else (x, x)
        return super().forward(y, *rest)


@feature("a function with a cache, made inside", X, -X)
def made_with_cache(x):
    @functools.lru_cache(maxsize=2)
    def scaled(n):
        print("scaled", n)
        return x * n if x.sum() > 0 else x + n

    found = [scaled(1), scaled(2), scaled(1), scaled(3), scaled(2)]
    scaled.cache_clear()
    return found, scaled(1)


@feature("a recursion with a cache, made inside", X, -X)
def recursion_with_cache(x):
    @functools.cache
    def fibonacci(n):
        return x if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    return fibonacci(7) if x.sum() > 0 else fibonacci(4)


@feature("a function with a cache, made inside and handed on", X, eager="its answers are of the run", code="D2S307")
def cache_handed_on(x):
    @functools.cache
    def scaled(n):
        return x * n

    return scaled(2), scaled

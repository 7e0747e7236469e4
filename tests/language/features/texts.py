"""Texts of values that only the run knows: f-strings, %, format, print, and the texts of objects."""

from __future__ import annotations

from collections import namedtuple
from dataclasses import dataclass, field

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


@dataclass
class Point:
    x: object
    y: int
    hidden: int = field(default=3, repr=False)


Pair = namedtuple("Pair", "first second")


class Sum:
    def __init__(self, value):
        self.value = value

    def __str__(self):
        return f"sum {self.value}"

    def __repr__(self):
        return "Sum(%r)" % self.value

    def __format__(self, specification):
        return f"<{specification}{self.value:.1f}>"


@feature("f-strings with conversions, widths and nested fields", X, -X)
def f_strings(x):
    n, width = x.sum().item(), 8
    return f"{n:.2f} {n!r} {int(n)=} {n:{width}.{2}f} {x.shape} {[n, x]}"


@feature("%, with keys and stars", X, -X)
def percent(x):
    n = x.sum().item()
    return "%d|%5.1f|%-8s|%r %%" % (n, n, n, x), "%(a)s %(a)d" % {"a": n}, "%*d" % (6, int(n)), "%s" % n


@feature("format of a text, with positions, names, attributes and items", X, -X)
def formats(x):
    n = x.sum().item()
    return "{0:.3f} {name} {1[0]} {2.x}".format(n, [n], Point(n, 1), name=n), "{:>{}}|{!r}".format(n, 9, x), format(n)


@feature("the texts of lists, tuples, dicts, data classes and named tuples", X, -X)
def containers(x):
    n = int(x.sum())
    things = ([n], (n,), (n, x), {"a": n}, Point(n, 2), Pair(n, x), [Point(x, 1)])
    return [str(thing) for thing in things], [repr(thing) for thing in things], f"{things}"


@feature("the texts of objects with __str__, __repr__ and __format__", X, -X)
def objects(x):
    n = x.sum().item()
    s = Sum(n)
    return str(s), repr(s), [s], f"{s} {s:z} {s!r}", "%s %r" % (s, s), "{} {!s}".format(s, s), str([s])


@feature("the texts of exceptions", X, -X)
def exceptions(x):
    n = int(x.sum())
    errors = ValueError(n), ValueError("a", n), KeyError(n), RuntimeError(), KeyError("k")
    return [str(e) for e in errors], [repr(e) for e in errors], [f"{e}" for e in errors]


@feature("print of objects, with sep and end", X, -X)
def printed(x):
    n = int(x.sum())
    print([n], Point(n, 1), Sum(n), Pair(n, x), ValueError(n), {"k": n}, sep="|", end="!\n")
    return x


@feature("methods and operators of a text", X, -X)
def methods(x):
    s = str(x.sum().item())
    return (
        s.rjust(9),
        s.upper() + "x",
        s * 2,
        s[0],
        s.find("."),
        "-" in s,
        s.startswith("-"),
        ("%d" % x.max()).zfill(5),
    )


@feature("a text that a loop builds", X, -X * 3)
def built(x):
    text = ""
    for i in range(int(x.abs().sum())):
        text += str(i) + ","
    return text, len(text)


@feature("a text chosen by a position, then a key of a dict", X, -X)
def chosen(x):
    name = ["low", "high"][int(x.sum() > 0)]
    return name, f"{name}!", {"low": x, "high": x * 2}[name], name == "low", name.upper()


@feature("a key that a dict has not for some inputs", X, -X)
def missing_key(x):
    name = ["low", "high"][int(x.sum() > 0)]
    try:
        return {"low": x}[name]
    except KeyError as error:
        return x * 3, str(error)


@feature("the parts of a split text", X, -X, missing="a list of texts whose length only the run knows", code="D2S102")
def split(x):
    return str(x.sum().item()).split(".")

"""Generator functions."""

from __future__ import annotations

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


def pieces(x):
    for v in x:
        if v > 0:
            yield v
        else:
            yield -v
            yield v * 2


def running():
    total = torch.zeros(())
    while True:
        value = yield total
        total = total + value if value > 0 else total


def both(x):
    n = yield from pieces(x)
    assert n is None
    yield x.sum()


@feature("a generator of a list, consumed by a loop", X, -X)
def generator(x):
    total = torch.zeros(())
    for v in pieces(x):
        total = total * 2 + v
    return total


@feature("yield from, unpacked and listed", X, -X)
def yield_from(x):
    return list(both(x))


@feature("a generator driven by send", X, -X)
def sends(x):
    machine = running()
    next(machine)
    return [machine.send(v) for v in x]


def halvings(x):
    while x.abs().max() > 1:
        yield x
        x = x / 2
    yield x


@feature("a generator with a loop that a tensor bounds, listed", X, X * 8, grad=True)
def listed(x):
    def both():
        yield from halvings(x)
        yield from halvings(x + 1)

    values = list(both())
    return torch.stack(values), len(values)


@feature("a loop over a generator, left by break and by return", X, -X, X * 8, ways=3, grad=True)
def left_early(x):
    total = torch.zeros(3)
    for part in halvings(x):
        if part.sum() < 0.3:
            break
        total = total + part
    for number, part in enumerate(halvings(x * 3), 1):
        if part.sum() < 0.5:
            return number, part
    return total


def announced(x):
    for v in x:
        if v > 0:
            print("more than nothing", v)
            yield v, v * 2
        else:
            yield -v, v


@feature("what a generator does and what its loop does take turns", X, -X)
def turns(x):
    kept = []
    for first, second in announced(x):
        print(first, second)
        if second < 0:
            continue
        kept.append(first + second)
    return torch.stack(kept)


class Tree:
    def __init__(self, value, *below):
        self.value, self.below = value, below

    def __iter__(self):
        if self.value.sum() > 0:
            yield self.value
        for part in self.below:
            yield from part


@feature("an object that iterates by a generator, recursively", X, -X, X * 8)
def tree(x):
    return torch.stack([v * 2 for v in Tree(x, Tree(-x, Tree(x * 2)), Tree(x + 9))])


@feature("sum, max, any and a dict of what a generator gives", X, -X, X * 8)
def consumed(x):
    parts = dict(enumerate(v for v, _ in announced(x)))
    return sum(v.sum() for v in halvings(x)), max(v.sum() for v in halvings(x)), any(v > 2 for v in parts.values())


@feature("the items of a generator taken one by one, then the rest", X, -X)
def one_by_one(x):
    given = pieces(x)
    first = next(given)
    for v in given:
        if v < 0:
            break
        first = first + v
    return first, list(given)


@feature("items taken one by one of a generator that a tensor bounds", X, X * 8, missing="hand all on", code="D2S202")
def one_of_many(x):
    given = halvings(x)
    return next(given), len(list(given))


@feature("the first item of a generator expression, in a loop on a tensor", X, X * 8)
def first_in_a_loop(x):
    while x.abs().sum() > 2:
        x = x / next(v for v in (1, 2, 3) if v > 1)
    return x


@feature("a generator that is kept goes on after an `enumerate` of it was left", X, -X)
def kept(x):
    given = pieces(x)
    for number, v in enumerate(given):
        if v > number:
            break
    return list(given)


def running_total():
    total = 0
    while True:
        value = yield total
        if value is None:
            return
        total = total + value


@feature("a generator that only one branch drives", X, -X)
def driven_in_a_branch(x):
    machine = running_total()
    next(machine)
    if x.sum() > 0:
        machine.send(x)
    return machine.send(x * 2)


@feature("iterators that are handed on: of a generator, enumerate, zip, map, reversed", X, -X)
def handed_on(x):
    def positive():
        for value in x:
            if value > 0:
                yield value

    made = (
        positive(),
        (v * 2 for v in x if v > 0),
        enumerate([x, x * 2]),
        zip([x], [-x], strict=True),
        reversed([x, -x]),
    )
    return made


@feature(
    "a generator that is handed on when an item was taken", X, missing="it can't be begun anew", code="D2S307", ways=1
)
def begun(x):
    made = iter((v * 2 for v in x))
    next(made)
    return made


@feature("a generator expression over what can't be iterated", X, -X)
def of_no_iterable(x):
    try:
        made = (x + i for i in 3)
    except TypeError as error:
        return x if x.sum() > 0 else -x, str(error)
    return x, made

"""Loops that a `break` leaves before their iterator has ended: what it does goes no further than in eager."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import same

import d2s

log: list[Any] = []


def sent(x):
    for k in range(4):
        log.append(k)
        got = yield x * k
        log.append(("got", got))


def guarded(x):
    try:
        for k in range(4):
            log.append(k)
            yield x * k
        log.append("end")
    except GeneratorExit:
        log.append("closed")
        raise
    finally:
        log.append("finally")


class Counting:
    def __init__(self, x):
        self.x, self.k = x, 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.k == 4:
            raise StopIteration
        self.k += 1
        log.append(self.k)
        return self.x * self.k


def zipped(x):
    return zip(guarded(x), range(3))


def enumerated(x):
    return enumerate(guarded(x))


def chained(x):
    return itertools.chain([x], guarded(x))


def mapped(x):
    return map(lambda item: item + 0, guarded(x))


def in_an_expression(x):
    return (item for item in guarded(x))


MAKERS: list[Callable[..., Any]] = [
    *(sent, guarded, Counting, zipped, enumerated, chained, mapped, in_an_expression),
]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kept", [False, True])
def test_what_an_iterator_does(make, kept):
    def function(x):
        items = make(x)
        for item in items if kept else make(x):
            value = item if isinstance(item, torch.Tensor) else item[0] if make is zipped else item[1]
            if value.sum() > 3:
                break
        else:
            value = value - 1
        return value

    static, ways = d2s.to_static(function, full_graph=True), set()
    for number in (1.0, 2.0, 4.0, -1.0):
        x, seen = torch.full((2,), number), []
        for each in (function, static):
            log.clear()
            seen.append((each(x), list(log)))
        assert same(seen[0], seen[1])
        ways.add(str(seen[0][1]))
    assert len(ways) > 2

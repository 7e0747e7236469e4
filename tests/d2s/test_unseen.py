"""Changes that are not written as assignments, and what is outside of the program: as in eager, at every call."""

from __future__ import annotations

import array
import collections
import copy
import datetime
import functools
import heapq
import itertools
import operator
import os
import pathlib
import queue
import types
import uuid
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from compare import detached, same

import d2s


class Holder:
    """An object with attributes."""

    factor = 2.0

    @functools.cached_property
    def mask(self):
        return torch.ones(2) * self.factor

    @functools.lru_cache(None)  # noqa: B019
    def scaled(self, n):
        return torch.full((n,), self.factor)


class Counter:
    def __init__(self) -> None:
        self.n = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.n += 1
        return self.n


world: Any = None


def new_world() -> Any:
    holder = Holder()
    holder.factor = 2.0
    return types.SimpleNamespace(
        list=[],
        heap=[(3, 0)],
        queue=queue.Queue(),
        simple=queue.SimpleQueue(),
        holder=holder,
        dict={},
        deque=collections.deque(),
        chain=collections.ChainMap({}),
        user=collections.UserDict(),
        array=array.array("f", [1, 2]),
        numbers=np.array([1.0, 2.0]),
        bytes=bytearray(b"ab"),
    )


def state() -> Any:
    """What the world holds, as something that compares."""
    held = dict(vars(world), queue=list(world.queue.queue), holder=vars(world.holder), deque=list(world.deque))
    held["simple"] = world.simple.qsize()
    held |= {"chain": world.chain.maps, "user": world.user.data, "array": list(world.array)}
    held |= {"numbers": world.numbers.tolist(), "bytes": list(world.bytes)}
    return copy.deepcopy(detached(held))


def heap(x):
    heapq.heappush(world.heap, (-len(world.heap), x * 2))
    return world.heap[0][1] + x


def queued(x):
    world.queue.put(x * 2)
    return x


def simple_queue(x):
    world.simple.put(x * 2)
    return x


def by_setattr(x):
    setattr(world.holder, "new", x * 2)  # noqa: B010
    if x.sum() > 0:
        object.__setattr__(world.holder, "factor", 3.0)
    return x * world.holder.factor


def by_operator(x):
    operator.setitem(world.dict, "key", x)
    operator.iadd(world.list, [x])
    return x * len(world.list)


def by_methods_of_classes(x):
    list.append(world.list, x)
    dict.update(world.dict, {"key": x})
    collections.deque.append(world.deque, x)
    return x * len(world.deque)


def by_map(x):
    return x + len(list(map(world.list.append, [x, x])))


def of_the_standard_library(x):
    world.chain["key"] = x
    world.user["key"] = x * 2
    return x


def cached_property(x):
    return world.holder.mask * x


def cached_method(x):
    return world.holder.scaled(x.shape[0]) * x


@functools.cache
def triangle(n):
    return torch.ones(n, n).tril()


def cached_function(x):
    y = x @ triangle(x.shape[0]) if x.sum() > 0 else x
    return y + triangle(2)[0]


def reads_arrays(x):
    return x * float(world.numbers[0]) + world.array[0] + world.bytes[0]


def writes_an_array(x):
    world.array[0] += 1
    return x * world.array[0]


def writes_by_a_method(x):
    world.numbers.fill(7)
    return x * 2


def updates_numbers(x):
    world.numbers *= 2
    return x * 2


def appends_bytes(x):
    world.bytes.append(1)
    return x * len(world.bytes)


CHANGES = [
    *(heap, queued, simple_queue, by_setattr, by_operator, by_methods_of_classes, by_map, of_the_standard_library),
    *(cached_property, cached_method, cached_function),
    *(reads_arrays, writes_an_array, writes_by_a_method, updates_numbers, appends_bytes),
]


def run(function: Any) -> Any:
    """The answers of some calls, what they leave, and what another function finds there."""
    global world
    world = new_world()
    found = []
    for x in (torch.ones(2), torch.ones(2) * 2, -torch.ones(2)):
        found += [detached(function(x)), state()]
        world.numbers[0] += 1
        world.array[0] += 2
    return found


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("function", CHANGES, ids=lambda function: function.__name__)
def test_a_change_by_any_means_is_as_in_eager(function):
    want = run(function)
    assert same(run(d2s.to_static(function)), want)
    assert same(run(function), want), "eager is not what it was"


STATIC = [
    *(by_setattr, by_operator, by_methods_of_classes, of_the_standard_library),
    *(cached_property, cached_function, reads_arrays),
]


@pytest.mark.parametrize("function", STATIC, ids=lambda function: function.__name__)
def test_most_changes_are_static(function):
    run(d2s.to_static(function, full_graph=True))


def environment(x):
    return x * int(os.environ["D2S_SCALE"]) + int(os.environ.get("D2S_SCALE", "0"))


def variable(x):
    return x * int(os.getenv("D2S_SCALE", "0"))


def writes_the_environment(x):
    os.environ["D2S_SCALE"] += "1"
    return x * int(os.environ["D2S_SCALE"])


def reads_a_file(x):
    return x * len(pathlib.Path("numbers").read_text())


def writes_a_file(x):
    with open("numbers", "a") as file:
        file.write("12")
    return x * os.path.getsize("numbers")


def numbers_of_numpy(x):
    return x * float(np.random.rand())


def seeds(x):
    np.random.seed(1)
    torch.manual_seed(2)
    return x * float(np.random.rand()) + torch.rand(2)


def takes_from(iterator):
    def take(x):
        return x * next(iterator)

    return take


def loops_over(iterator):
    def loop(x):
        for n in iterator:
            x = x * n
            if n % 3 == 0:
                break
        return x

    return loop


OUTSIDE = [environment, variable, writes_the_environment, reads_a_file, writes_a_file, numbers_of_numpy, seeds]


def run_outside(function: Any) -> Any:
    np.random.seed(0)
    torch.manual_seed(0)
    found = []
    pathlib.Path("numbers").write_text("")
    for size in range(3):
        os.environ["D2S_SCALE"] = str(size)
        pathlib.Path("numbers").open("a").write("123")
        found += [function(torch.ones(2)), pathlib.Path("numbers").read_text(), os.environ["D2S_SCALE"]]
    return [*found, float(np.random.rand()), torch.rand(1)]


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("function", OUTSIDE, ids=lambda function: function.__name__)
def test_the_world_outside_is_asked_at_each_call(function, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("D2S_SCALE", "0")
    want = run_outside(function)
    assert same(run_outside(d2s.to_static(function)), want)


MADE = [
    itertools.count,
    lambda: iter(range(1, 20)),
    lambda: (n for n in range(1, 20)),
    lambda: map(abs, range(1, 20)),
    Counter,
]


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("take", [takes_from, loops_over])
@pytest.mark.parametrize("make", MADE)
def test_an_iterator_gives_its_next_item_at_each_call(make, take):
    eager, static = take(make()), d2s.to_static(take(make()))
    for _ in range(3):
        assert torch.equal(static(torch.ones(2)), eager(torch.ones(2)))


@pytest.mark.parametrize("ask", [uuid.uuid4, datetime.datetime.now, lambda: id(3), lambda: open(os.devnull)])
def test_other_questions_to_the_world_are_refused(ask):
    def asking(x):
        return x, ask()

    with pytest.raises(d2s.ConversionError, match="D2S308"):
        d2s.to_static(asking, full_graph=True)(torch.ones(2))


def test_a_cache_is_not_asked_with_a_stand_in():
    @functools.cache
    def double(x):
        return x * 2

    x = torch.ones(2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert torch.equal(d2s.to_static(lambda x: double(x) + 1)(x), x * 2 + 1)
    assert "D2S307" in str(caught[0].message)
    assert double.cache_info().currsize == 1 and double(x) is double(x)


def test_an_iterator_made_in_the_call_is_read_once():
    def largest(x, sizes):
        return x * max(itertools.accumulate(sizes)) + min(n for n in sizes), max(iter([x.sum(), x.sum() * 2]))

    static = d2s.to_static(largest, full_graph=True)
    for x in (torch.ones(2), -torch.ones(2)):
        assert same(static(x, [1, 2]), largest(x, [1, 2]))
    with pytest.raises(TypeError):
        d2s.to_static(lambda x: max(*x))([])


def test_a_function_may_name_itself():
    def check(function, n):
        assert same(d2s.to_static(function, full_graph=True)(torch.ones(2), n), function(torch.ones(2), n))

    check(halved, 3)
    check(remembered, 1)
    assert same(remembered.seen, torch.ones(2))  # type: ignore[attr-defined]


def halved(x, n):
    return x if n == 0 else halved(x, n - 1) / 2


def remembered(x, n):
    remembered.seen = x * n  # type: ignore[attr-defined]
    return x

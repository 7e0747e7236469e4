"""Values that few functions get: views of memory, numbers of the user's classes, containers that hold themselves."""

import enum

import pytest
import torch
from compare import outcome, same

import d2s


class Level(enum.IntEnum):
    LOW = 0
    MIDDLE = 1
    HIGH = 3


class Odd(int):
    def __radd__(self, other):
        return 100 + other

    def __gt__(self, other):
        return "more"


def with_members(x):
    n = int(x.sum())
    table: dict[int, float] = {Level.LOW: 2.0, Level.MIDDLE: 3.0}
    return n + Level.MIDDLE, Level.HIGH - n, n == Level.LOW, n < Level.HIGH, table.get(n, 9.0), n in (Level.LOW, 5)


def with_odd(x):
    n = int(x.sum())
    return n + Odd(2), Odd(2) + n, n < Odd(2), n * Odd(2)


@pytest.mark.parametrize("function", [with_members, with_odd])
def test_numbers_of_the_users_classes(function):
    static = d2s.to_static(function, full_graph=True)
    for number in (0.0, 1.0, 3.0, 7.0):
        x = torch.tensor([number])
        assert same(static(x), function(x))


def test_a_key_of_another_class_than_the_table_has():
    def looks_up(x, key, table):
        return x * table[key]

    static, table = d2s.to_static(looks_up, full_graph=True), {Level.LOW: 2.0, Level.MIDDLE: 3.0}
    for key in (Level.LOW, 1, Level.LOW, 0, 2):
        assert same(outcome(static, torch.ones(2), key, table), outcome(looks_up, torch.ones(2), key, table))


def test_a_view_of_memory():
    held = bytearray([1, 2, 3])
    view = memoryview(held)

    def reads(x):
        return x * view.tolist()[1]

    static = d2s.to_static(reads, full_graph=True)
    assert same(static(torch.ones(2)), torch.full((2,), 2.0))
    held[1] = 7
    assert same(static(torch.ones(2)), torch.full((2,), 7.0))


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_list_that_holds_itself():
    items: list = [1]
    items.append(items)
    static = d2s.to_static(lambda x, items: x + len(items))
    for _ in range(2):
        assert same(static(torch.ones(2), items), torch.full((2,), 3.0))

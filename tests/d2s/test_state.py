"""Parameters, buffers and other state of a module are read at each call, and written as in eager."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import outcome, same
from modules import BOTH_WAYS, agree, pair
from torch import nn


class Net(nn.Module):
    """Two layers with a branch between."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.register_buffer("offset", torch.ones(4))

    def forward(self, x):
        y = self.first(x)
        if x.sum() > 0:
            y = y + self.offset
        return self.second(y)


def optimize(net: Any) -> None:
    optimizer = torch.optim.Adam(net.parameters(), lr=0.1)
    for x in BOTH_WAYS:
        optimizer.zero_grad()
        net(x.clone().requires_grad_(True)).square().sum().backward()
        optimizer.step()


def load(net: Any) -> None:
    net.load_state_dict({name: torch.ones_like(tensor) for name, tensor in net.state_dict().items()})


def assign(net: Any) -> None:
    state = {name: torch.full_like(tensor, 0.5) for name, tensor in net.state_dict().items()}
    net.load_state_dict(state, assign=True)


def replace_parameter(net: Any) -> None:
    net.first.weight = nn.Parameter(torch.eye(4))


def replace_data(net: Any) -> None:
    net.first.weight.data = torch.eye(4) * 2


def replace_module(net: Any) -> None:
    net.first = nn.Linear(4, 4, bias=False)
    nn.init.ones_(net.first.weight)


def tie(net: Any) -> None:
    net.second.weight = net.first.weight


def freeze(net: Any) -> None:
    net.first.requires_grad_(False)


def drop_bias(net: Any) -> None:
    net.first.bias = None


def pruned(net: Any) -> None:
    torch.nn.utils.parametrizations.weight_norm(net.first)


@pytest.mark.parametrize(
    "change",
    [optimize, load, assign, replace_parameter, replace_data, replace_module, tie, freeze, drop_bias, pruned],
    ids=lambda change: change.__name__,
)
def test_a_change_of_parameters_is_seen_at_the_next_call(change: Callable[[Any], None]) -> None:
    static, eager = pair(Net)
    agree(static, eager)
    for net in (static, eager):
        change(net)
    agree(static, eager)


def test_values_of_parameters_need_no_second_program() -> None:
    static, eager = pair(Net)
    for change in (optimize, load, assign, replace_parameter, replace_data):
        for net in (static, eager):
            change(net)
        agree(static, eager)
    assert len(static.forward.programs) == 1


def test_a_module_moved_to_another_type() -> None:
    static, eager = pair(Net)
    agree(static, eager)
    static.double()
    eager.double()
    agree(static, eager, [x.double() for x in BOTH_WAYS])
    static.float()
    eager.float()
    agree(static, eager)
    assert len(static.forward.programs) == 2


def test_tied_parameters_get_the_gradient_of_both_uses() -> None:
    def make() -> nn.Module:
        net = Net()
        tie(net)
        return net

    static, eager = pair(make)
    agree(static, eager)
    for net in (static, eager):
        net.second.weight = nn.Parameter(torch.eye(4))
    agree(static, eager)


def test_functional_call_swaps_the_parameters() -> None:
    static, eager = pair(Net)
    agree(static, eager)
    swapped = {name: torch.full_like(tensor, 0.1) for name, tensor in eager.state_dict().items()}
    for x in BOTH_WAYS:
        want, got = (torch.func.functional_call(net, swapped, (x,)) for net in (eager, static))
        assert torch.equal(want, got)
    agree(static, eager)


class Normalized(nn.Module):
    """BatchNorm keeps running statistics, and counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.other = nn.BatchNorm1d(4, momentum=None)

    def forward(self, x):
        y = self.norm(x) if x.sum() > 0 else self.other(x)
        for _ in range(3):
            y = self.norm(y) + 1
        return y


class Cache(nn.Module):
    """A cache of keys that is written in place, and a position held as a Python int."""

    def __init__(self) -> None:
        super().__init__()
        self.key = nn.Linear(4, 4)
        self.register_buffer("cache", torch.zeros(8, 2, 4), persistent=False)
        self.position = 0

    def forward(self, x):
        with torch.no_grad():
            self.cache[self.position] = self.key(x)
        self.position += 1
        return self.cache.sum(0) + x


class Growing(nn.Module):
    """A cache that grows by concatenation: another shape at each call."""

    def __init__(self) -> None:
        super().__init__()
        self.cache: torch.Tensor | None = None

    def forward(self, x):
        self.cache = x if self.cache is None else torch.cat([self.cache, x])
        return self.cache.sum(0)


class Conditional(nn.Module):
    """State of every kind, written in one branch only."""

    total: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(4))
        self.weight = nn.Parameter(torch.ones(4))
        self.last: Any = None
        self.calls = 0
        self.history: list[Any] = []
        self.seen = {"large": 0, "small": 0}

    def forward(self, x):
        self.calls += 1
        if x.sum() > 0:
            self.total = self.total + x.detach().sum(0)
            self.seen["large"] += 1
            self.last = "large"
        else:
            self.total += 1
            self.seen["small"] += 1
            self.last = "small"
        return x * self.weight + self.total * self.calls


@pytest.mark.parametrize("make", [Normalized, Cache, Growing, Conditional], ids=lambda make: make.__name__)
def test_state_that_forward_writes(make: Callable[[], nn.Module]) -> None:
    static, eager = pair(make)
    agree(static, eager, BOTH_WAYS * 3)
    for net in (static, eager):
        net.eval()
    agree(static, eager, BOTH_WAYS)


def test_counters_that_hold_the_same_number_are_two() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hits = 0
            self.misses = 0

        def forward(self, x):
            if x.sum() > 0:
                self.hits += 1
            else:
                self.misses += 1
            return x * self.hits - self.misses

    static, eager = pair(Counts)
    agree(static, eager, BOTH_WAYS * 2)
    assert len(static.forward.programs) == 1


def test_a_counter_does_not_need_a_program_a_value() -> None:
    static, eager = pair(Cache)
    agree(static, eager, BOTH_WAYS * 3)
    assert len(static.forward.programs) == 1
    static.position = eager.position = 1
    agree(static, eager)
    assert len(static.forward.programs) == 1


class Counting(nn.Module):
    """Counts in a loop on values, also where what leaves the loop and the function is only found when it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.trips = 0

    def forward(self, x):
        total, place = 0, 0
        while place < x.sum():
            self.trips += 1
            try:
                total += [1, 2, 3][place]
            finally:
                self.trips += 10
            place += 1
        return total


def test_a_finally_in_a_loop_sees_an_error_that_leaves_the_function() -> None:
    static, eager = pair(Counting)
    for count in (2.0, 7.0, 1.0):
        x = torch.tensor([count])
        assert same(outcome(static, x), outcome(eager, x))
        assert static.trips == eager.trips

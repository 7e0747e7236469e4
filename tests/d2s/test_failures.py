"""A run that fails half-way: what the function has written by then is written, and what it catches is caught."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import detached, failed_runs, outcome, same
from torch import nn

import d2s


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.count, self.last, self.log = 0, torch.zeros(3), []

    def forward(self, x, i):
        self.count += 1
        self.last = x
        self.log.append(i.shape)
        return x.index_select(0, i).sum()


class Caught(Counts):
    def forward(self, x, i):
        try:
            return super().forward(x, i)
        except Exception as error:
            return x - 1, type(error).__name__


class Noisy(Counts):
    """Draws before it fails: what it has drawn can't be taken back."""

    def forward(self, x, i):
        return super().forward(x + torch.rand(3), i)


class DrawsNothing(Counts):
    """Fails in the very call that would draw."""

    def forward(self, x, i):
        self.count += 1
        try:
            return torch.multinomial(x - 1, 1) + i
        except RuntimeError:
            return i


class InALoop(Counts):
    def forward(self, x, n):
        try:
            for k in range(int(n[0])):
                self.count += 1
                x = torch.linalg.inv(x.diag() - k).sum(0) / x.sum()
        except RuntimeError:
            x = x * 2
        return x


class Sizes(Counts):
    def forward(self, x, i):
        try:
            return torch.cat([x, i.float()]) @ x
        except RuntimeError:
            return x * 2


def inputs() -> list[tuple[torch.Tensor, torch.Tensor]]:
    numbers = torch.arange(3.0) + 1
    return [(numbers, torch.tensor([v])) for v in (0, 7, 1, -9, 2)]


def seen(make: Callable[[], nn.Module], form: Callable[[Any], Any]) -> tuple[Any, Any]:
    net = make()
    function = form(net)
    found = []
    for args in inputs():
        torch.manual_seed(0)
        answer = outcome(function, *copy.deepcopy(args))
        state = {name: copy.copy(vars(net)[name]) for name in ("count", "last", "log")}
        found.append((answer, state, torch.rand(1)))
    return detached(found), function


@pytest.mark.parametrize("make", [Counts, Caught, DrawsNothing, InALoop, Sizes])
@pytest.mark.parametrize("backend", ["torch", "inductor"])
def test_a_run_that_fails_leaves_what_eager_does(make: Callable[[], nn.Module], backend: str) -> None:
    want, _ = seen(make, lambda net: net)
    got, static = seen(make, lambda net: d2s.to_static(net, full_graph=True, backend=backend))
    assert same(got, want)
    assert static.forward.programs


def test_what_was_drawn_is_not_drawn_again() -> None:
    want, _ = seen(Noisy, lambda net: net)
    got, static = seen(Noisy, lambda net: d2s.to_static(net, full_graph=True))
    assert same([(answer, drawn) for answer, _, drawn in got], [(answer, drawn) for answer, _, drawn in want])
    assert not any(executable.failures for executable in static.forward.programs)


def test_an_exception_of_the_users_is_raised_by_the_program() -> None:
    def refused(x):
        if x.sum() < 0:
            raise ValueError("negative")
        return x

    static = d2s.to_static(refused, full_graph=True)
    for x in (torch.ones(2), -torch.ones(2)):
        assert same(outcome(static, x), outcome(refused, x))
    assert not any(executable.failures for executable in static.programs)


AT, OUT = torch.tensor([1]), torch.tensor([5])
ONES, SQUARE = torch.ones(3), torch.eye(2)
# What fails for the second tensor, and not for the first: with torch's own classes of exceptions.
FAIL_BY_VALUE: dict[str, tuple[Callable[..., Any], torch.Tensor, torch.Tensor]] = {
    "scatter": (lambda at: ONES.scatter(0, at, 2.0), AT, OUT),
    "scatter_add": (lambda at: ONES.scatter_add(0, at, ONES[:1]), AT, OUT),
    "index_add": (lambda at: ONES.index_add(0, at, ONES[:1]), AT, OUT),
    "index_copy": (lambda at: ONES.index_copy(0, at, ONES[:1]), AT, OUT),
    "index_fill": (lambda at: ONES.index_fill(0, at, 2.0), AT, OUT),
    "index_put": (lambda at: ONES.index_put((at,), ONES[:1]), AT, OUT),
    "take": (lambda at: torch.take(ONES, at), AT, OUT),
    "take_along_dim": (lambda at: torch.take_along_dim(ONES, at), AT, OUT),
    "masked_scatter": (lambda x: ONES.masked_scatter(x > 0, ONES[:1]), torch.tensor([1.0, -1, -1]), ONES),
    "multinomial": (lambda x: torch.multinomial(x, 1), torch.tensor([0.0, 1.0]), -ONES),
    "bernoulli": (torch.bernoulli, ONES, ONES * 3),
    "poisson": (torch.poisson, ONES * 0, -ONES),
    "bincount": (torch.bincount, AT, -AT),
    "embedding_bag": (lambda at: nn.functional.embedding_bag(at[None], torch.ones(3, 2)), AT, OUT),
    "binary_cross_entropy": (lambda x: nn.functional.binary_cross_entropy(x, ONES), ONES, ONES * 3),
    "multi_margin_loss": (lambda at: nn.functional.multi_margin_loss(torch.ones(1, 3), at), AT, OUT),
    "quantile": (lambda q: torch.quantile(ONES, q), torch.tensor(0.5), torch.tensor(2.0)),
    "an integer by zero": (lambda x: AT // x, AT, AT * 0),
    "remainder": (lambda x: torch.remainder(AT, x), AT, AT * 0),
    "svdvals": (torch.linalg.svdvals, SQUARE, SQUARE * torch.nan),
    "matrix_power": (lambda x: torch.linalg.matrix_power(x, -1), SQUARE, SQUARE * 0),
}


@pytest.mark.parametrize("name", FAIL_BY_VALUE)
def test_what_fails_by_value_is_caught_where_eager_catches_it(name: str) -> None:
    compute, good, bad = FAIL_BY_VALUE[name]

    class Catching(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1  # can be seen: the function can't be run again
            try:
                return compute(x)
            except Exception as error:
                return type(error).__name__

    eager, static = Catching(), d2s.to_static(Catching(), full_graph=True)
    for x in (good, bad, good):
        torch.manual_seed(0)
        want = eager(x)
        torch.manual_seed(0)
        assert same(static(x), want)
    assert torch.equal(eager.calls, static.calls)
    assert failed_runs(static.forward) == 0

"""Checkpointed functions: what they do once in the forward and once more in the backward, they do under d2s too."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import d2s


class Net(nn.Module):
    reentrant = False

    def __init__(self):
        super().__init__()
        self.linear, self.norm, self.drop = nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5)
        self.calls, self.log = 0, []

    def checkpointed(self, function, *args):
        return checkpoint(function, *args, use_reentrant=self.reentrant)

    def forward(self, x):
        return self.checkpointed(self.block, x)


class Counting(Net):
    def block(self, x):
        self.calls += 1
        self.log.append(x.dim())
        return self.linear(x).sin()


class Normalised(Net):
    def forward(self, x):
        return self.checkpointed(self.norm, self.linear(x))


class Branching(Net):
    def block(self, x):
        return self.linear(x).sin() if x.sum() > 0 else x * 2


class Asking(Counting):
    """Reads what the checkpointed function writes: refused."""

    def forward(self, x):
        return super().forward(x) * self.calls


class Deciding(Net):
    """Writes on one path only."""

    def block(self, x):
        if x.sum() > 0:
            self.calls += 1
        return self.linear(x)


class Dropping(Net):
    def forward(self, x):
        return self.checkpointed(self.drop, self.linear(x))


class Twice(Net):
    def block(self, x):
        self.calls += 1
        return self.norm(self.linear(x)), x * 2

    def forward(self, x):
        first, second = self.checkpointed(self.block, x)
        third, fourth = self.checkpointed(self.block, first)
        return third * second + fourth


def steps(kind: type[Net], reentrant: bool, **options: Any) -> Any:
    torch.manual_seed(0)
    net = kind()
    net.reentrant = reentrant
    called: Any = d2s.to_static(net, **options) if options else net
    found = []
    for value in (1.0, -1.0, 1.0):
        x = (torch.full((4, 3), value) + torch.randn(4, 3) * 0.1).requires_grad_()
        y = called(x)
        y.sum().backward()
        found.append((y.sum().item(), x.grad, net.calls, list(net.log), dict(net.norm.named_buffers())))
    with torch.no_grad():
        found.append((called(x).sum().item(), None, net.calls, list(net.log), dict(net.norm.named_buffers())))
    return repr(found)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("kind", [Counting, Normalised, Branching, Dropping, Twice])
def test_a_checkpointed_function_is_run_again_by_the_backward(kind: type[Net], reentrant: bool) -> None:
    assert steps(kind, reentrant, full_graph=True) == steps(kind, reentrant)


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("kind", [Asking, Deciding])
def test_what_it_writes_is_not_read_elsewhere(kind: type[Net]) -> None:
    assert steps(kind, False, full_graph=False) == steps(kind, False)


total = 0


class Globally(Net):
    """Writes a variable that it names itself."""

    def block(self, x):
        global total
        total += 1
        return self.linear(x).sin()


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_global_that_it_writes(reentrant: bool) -> None:
    global total
    counts = []
    for options in ({}, {"full_graph": True}):
        total = 0
        steps(Globally, reentrant, **options)
        counts.append(total)
    assert counts == [7, 7]

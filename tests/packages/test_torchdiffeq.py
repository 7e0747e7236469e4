"""An adaptive solver of differential equations: one program, whatever the number of its steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compare import same
from torchdiffeq import odeint

import d2s


class Field(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)

    def forward(self, t: Any, y: Any) -> Any:
        return torch.tanh(self.linear(y)) * (1 + t)


class Solver(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.field = Field()

    def forward(self, y: Any, t: Any) -> Any:
        return odeint(self.field, y, t, rtol=1e-4, atol=1e-5)


def solve(y: Any, t: Any) -> Any:
    return odeint(lambda t, y: -y * torch.sin(t * 3), y, t, method="dopri5", rtol=1e-4, atol=1e-5)


def made(kind: Any) -> Any:
    torch.manual_seed(0)
    return kind()


@pytest.mark.parametrize("make", [lambda: solve, lambda: made(Solver)], ids=["function", "module"])
def test_one_program_for_any_number_of_steps(make: Any) -> None:
    eager, static = make(), d2s.to_static(make(), full_graph=True)
    for y, t in ([1.0, 2.0], [0.0, 1.0, 2.0]), ([1.0, 2.0], [0.0, 5.0, 9.0]), ([5.0, -2.0], [0.0, 0.1, 0.2]):
        want, got = (function(torch.tensor(y), torch.tensor(t)) for function in (eager, static))
        assert same(want, got)
        if want.requires_grad:
            want.sum().backward()
            got.sum().backward()
            assert same(eager.field.linear.weight.grad, static.field.linear.weight.grad)
    assert len((static.forward if isinstance(static, torch.nn.Module) else static).programs) == 1

"""Solvers that run until they have converged: Newton's method, bisection, an ODE with an adaptive step."""

from __future__ import annotations

import torch
from torch import nn


class Newton(nn.Module):
    """The square roots of `matrix @ x`'s entries by Newton's method, all at once, until none moves any more."""

    def __init__(self, size: int):
        super().__init__()
        self.scale = nn.Linear(size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, size] to the roots, of the same shape."""
        target = self.scale(x).exp()
        root = torch.ones_like(target)
        change = torch.full((), 1.0)
        while change > 1e-5:
            better = 0.5 * (root + target / root)
            change = (better - root).abs().max()
            root = better
        return root


class Bisection(nn.Module):
    """For each row the threshold above which its entries, lowered by it, sum to one (the simplex projection's)."""

    def __init__(self, size: int):
        super().__init__()
        self.scores = nn.Linear(size, size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, size] to points of the simplex, of the same shape."""
        scores = self.scores(x)
        low = scores.min(dim=1, keepdim=True).values - 1.0
        high = scores.max(dim=1, keepdim=True).values
        while (high - low).max() > 1e-4:
            middle = (low + high) / 2
            too_low = torch.relu(scores - middle).sum(dim=1, keepdim=True) > 1.0
            low = torch.where(too_low, middle, low)
            high = torch.where(too_low, high, middle)
        return torch.relu(scores - (low + high) / 2)


class AdaptiveODE(nn.Module):
    """A neural ODE from time 0 to 1 by Heun's method; a step that errs too much is tried again at half its length."""

    def __init__(self, size: int, hidden: int):
        super().__init__()
        self.field = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The state `x` at time 0, of shape [batch, size], to the state at time 1."""
        time = torch.zeros(())
        step = torch.full((), 0.25)
        while time < 1.0:
            step = torch.minimum(step, 1.0 - time)
            slope = self.field(x)
            euler = x + step * slope
            heun = x + 0.5 * step * (slope + self.field(euler))
            error = (heun - euler).abs().max()
            if error > 0.001:
                step = 0.5 * step
            else:
                time = time + step
                step = 1.5 * step
                x = heun
        return x

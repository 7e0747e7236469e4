"""Numbers that only the run knows: their arithmetic, and where it goes another way for other values."""

from __future__ import annotations

import math

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


def n(value):
    return torch.tensor(value)


@feature("powers, whose type is that of the run", n(3), n(-2), n(0), ways=3)
def powers(n):
    k = int(n)
    return 2**k, (-2) ** k, k**2, k**k if k else 1, k**0.5 if k >= 0 else None, 0.5**k


@feature("a number kept in a list before a loop", (X, n(3)), (X, n(5)), (X, n(0)), ways=3)
def in_a_list(x, n):
    stats = [0, 1.0]
    stats[0] = int(n)
    for i in range(int(n)):
        stats[0] += i
        stats[1] *= 2
    return x * stats[0], stats


@feature("math of whole numbers: gcd, comb, factorial, isqrt; isclose", X, -X * 2)
def whole_numbers(x):
    a, b = int(x[2].abs()), int(x[1].abs())
    found = math.gcd(a, b), math.lcm(a, b), math.comb(a, b), math.factorial(b), math.isqrt(a)
    return found, math.isclose(float(x[0]), 1.0, abs_tol=0.5), math.copysign(1.0, x[0].item())


@feature("tolist of a tensor whose length only the run knows", X, -X, torch.zeros(3), ways=3)
def listed(x):
    positions = torch.nonzero(x > 0).squeeze(1).tolist()
    return positions, len(positions), sum(positions), torch.tensor(positions, dtype=torch.long) * 2


@feature("annotated variables, bound in branches and loops", X, -X)
def annotated(x):
    total: float = 0.0
    later: torch.Tensor
    if x.sum() > 0:
        scale: float = 2.0
        later = x
    else:
        scale: float = 3.0
        later: torch.Tensor = -x
    for i in range(int(x.abs().sum())):
        step: int = i
        total: float = total + step
    return later * scale, total

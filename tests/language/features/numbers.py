"""Numbers that only the run knows: their arithmetic, and where it goes another way for other values."""

from __future__ import annotations

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

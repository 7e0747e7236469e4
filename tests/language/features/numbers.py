"""Numbers that only the run knows: their arithmetic, and where it goes another way for other values."""

from __future__ import annotations

import decimal
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


@feature("methods and parts of a number", X, -X, ways=1)
def methods_of_numbers(x):
    i, f = int(x.sum()), float(x[0]) / 2
    return i.bit_length(), i.real, i.numerator, i.conjugate(), f.is_integer(), f.hex(), (x.sum() > 0).item().real


@feature("numbers written in other bases, and as characters", X, -X, ways=1)
def other_bases(x):
    i = int(x.sum())
    return hex(i), bin(i), oct(i), chr(70 + i), ord(chr(70 + i))


@feature("texts and lists repeated, cut and filled by a number", X, -X, ways=1)
def repeated(x):
    n = int((x > 0).sum())
    table = [0] * n
    for i in range(n):
        table[i] = i * i
    table.append(n)
    return table, "-" * n, (1, 2) * n, "abc"[:n], "abc"[n:], "ab".ljust(n + 3, "."), "aXbXc".replace("X", "-", n)


@feature("`index` and `count` of lists and tuples", X, -X)
def searched(x):
    values = x.tolist()
    try:
        where = values.index(3.0)
    except ValueError as error:
        where = str(error)
    most = max(values)
    return where, values.index(most), values.index(min(values), 1), values.count(most), (1, most).index(most)


@feature("a range that is handed on", X, -X, ways=1)
def range_handed_on(x):
    n = int((x > 0).sum())
    return range(n), range(1, n + 2, 2)


@feature("a decimal number of a value", X, missing="needs the number before the run", code="D2S101")
def decimal_number(x):
    return decimal.Decimal(int(x.sum()))

"""Numbers as tensors: Python's arithmetic, its conversions and its exceptions."""

import math

import pytest
import torch
from compare import outcome, same
from lower import agrees, both, lowered_by_python

from d2s.runtime.lowering.checks import Unlowered
from d2s.runtime.lowering.refusing import LoweringError


def counters(x, limit):
    i, total, seen = 0, 0.0, False
    while i < int(limit) and not seen:
        total = total + float(x[0]) / 2 + i
        if x.sum() > 6:
            seen = True
            i += 2
        x = x + i * 0.5
        i += 1
    return x, i, total, seen, i // 3, -i % 5, i > 2 and seen, abs(total - i)


@both
def test_counters_and_flags(lower):
    agrees(
        lower,
        counters,
        (torch.tensor([0.5, 1.0]), torch.tensor(3)),
        (torch.tensor([0.5, 7.0]), torch.tensor(9)),
        (torch.tensor([0.5, -7.0]), torch.tensor(0)),
        (torch.tensor([-2.5, -7.0]), torch.tensor(12)),
    )


@both
def test_dtypes_are_those_that_a_number_gives(lower):
    def f(x, k, limit):
        n, half = 0, 0.0
        while n < int(limit):
            n += 1
            half += 0.5
        return (
            x * half,
            k + half,
            k * n,
            x + n,
            k > half,
            half - x,
            k / n,
            x.clamp(max=n),
            torch.where(k > 1, x, half),
        )

    x, k = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float16), torch.tensor([1, 2, 3])
    agrees(lower, f, (x, k, torch.tensor(2)), (x, k, torch.tensor(5)))


@both
def test_a_range_of_numbers(lower):
    def f(x, start, stop):
        last = -1
        for i in range(int(start), int(stop), 3):
            x, last = x + i, i
        return x, last

    x = torch.zeros(2)
    agrees(lower, f, *((x, torch.tensor(a), torch.tensor(b)) for a, b in ((0, 7), (5, 2), (-4, 2), (0, 6))))


@both
def test_what_raises_in_python_makes_the_answer_void(lower):
    def divided(n, d):
        return 7 // int(n) + int(d)

    run = lower(divided, torch.tensor(2), torch.tensor(1.5))
    assert run(torch.tensor(-2), torch.tensor(-1.5)) == divided(torch.tensor(-2), torch.tensor(-1.5))
    for n, d in ((0, 1.0), (1, float("nan")), (1, float("inf")), (1, 1e19)):
        with pytest.raises(Unlowered):
            run(torch.tensor(n), torch.tensor(d))


@both
def test_integers_of_more_than_64_bits_make_the_answer_void(lower):
    def factorial(limit):
        product = 1
        for i in range(int(limit)):
            product = product * (i + 1)
        return product

    run = lower(factorial, torch.tensor(5))
    assert run(torch.tensor(19)) == factorial(torch.tensor(19))
    with pytest.raises(Unlowered):
        run(torch.tensor(30))


def test_what_takes_no_tensor_is_refused():
    def f(x, n):
        return [x, -x][int(n)]

    with pytest.raises(LoweringError, match=r"test_numbers.py:\d+: operator.getitem of a number"):
        lowered_by_python(f, torch.ones(2, 3), torch.tensor(1))


FUNCTIONS = """sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh erf erfc lgamma
floor ceil trunc""".split()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_math(name):
    function = getattr(math, name)

    def f(x):
        return function(float(x)), x * 2

    run = lowered_by_python(f, torch.tensor(0.5))
    for number in (0.5, 0.0, -0.25, -1.0, 1.0, 2.5, -7.5, 800.0, math.inf, -math.inf, math.nan):
        x = torch.tensor(number)
        want, got = outcome(f, x), outcome(run, x)
        if isinstance(want, tuple) and isinstance(want[0], type):
            assert got[0] is Unlowered, f"{name} of {number}: {got} instead of {want}"
        else:
            assert same(want, got, 1e-12), f"{name} of {number}: {got} instead of {want}"


@both
def test_greatest_divisors_flags_and_items_of_lists(lower):
    def f(x, n, i):
        table = [3, 5, 8, 13]
        table[int(i)] = int(n)
        flag = bool(x.sum() > 1) is bool(x.max() > 1)
        return x * table[int(n) % 4], math.gcd(int(n), table[1]), flag, table[-int(i)]

    x = torch.tensor([0.5, 0.75])
    calls = [(x * scale, torch.tensor(n), torch.tensor(i)) for scale, n, i in ((1, 10, 1), (2, -4, 3), (-1, 0, -3))]
    run = agrees(lower, f, *calls)
    if lower is lowered_by_python:
        with pytest.raises(Unlowered):
            run(x, torch.tensor(1), torch.tensor(4))

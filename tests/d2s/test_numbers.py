"""Numbers and texts that are computed from tensors.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import logging
import math
import random
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from check import bind, check
from torch.nn import functional

import d2s
from d2s.conversion import convert
from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.errors import CaptureError
from d2s.runtime.recording.capture import capture


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values if len(values) > 1 else values[0])


def test_casts_keep_their_type() -> None:
    def casts(x):
        n, f, b = int(x[0]), float(x[1]), bool(x.sum() > 0)
        return n, f, b, n + 1, n / 2, f // 2, n % 3, -n, abs(n), b + 1, int(f), float(n), round(f, 1), not b

    check(casts, t(7.0, 2.5), t(-7.0, 2.5))


def test_item_and_tolist() -> None:
    def items(x):
        peak = x.max().item()
        count = (x > 0).sum().item()
        rows = x.tolist()
        if count > 1:
            return peak * 2 + count, rows
        return peak // 2, rows[0] + rows[1], type(count) is int, isinstance(peak, float)

    check(items, t(1.0, 3.0), t(-1.0, 3.0))


def test_a_number_as_a_size_and_a_bound() -> None:
    def prefix(x, n):
        k = int(n)
        head = x[:k]
        if head.shape[0] > 2:
            head = head[::2]
        return head, x[k:], torch.zeros(k + 1), head.shape, len(head), x * k

    check(prefix, (t(1.0, 2.0, 3.0, 4.0), t(3)), (t(1.0, 2.0, 3.0, 4.0), t(1)), (t(1.0, 2.0, 3.0, 4.0), t(0)), ways=3)


def test_a_number_as_a_position() -> None:
    def positions(x, n):
        k = int(n)
        x = x * 1
        x[k] = 7.0
        return x[k] * 2, x[k - 1], x[n], x.select(0, k), x[None, k]

    check(positions, (t(1.0, 2.0, 3.0), t(1)), (t(1.0, 2.0, 3.0), t(-1)))


def test_min_max_sum_any_all() -> None:
    def builtins(x, y):
        a, b = x.sum(), y.sum()
        n, k = int(a), int(b)
        parts = [a, b, a * b]
        return min(a, b), max(n, k, 3), sum(parts), any([n > 5, k > 5]), all([a > 0, b > 0]), min(n, 2.5)

    check(builtins, (t(1.0, 2.0), t(3.0, 4.0)), (t(9.0, 2.0), t(-3.0, 1.0)))


def test_math_functions_and_comparisons_chain() -> None:
    def mathematical(x):
        f = x.sum().item()
        return math.sqrt(f * f), math.floor(f), 0 < f < 2, f == f, f != 1, divmod(int(f), 2), math.isnan(f)

    check(mathematical, t(0.5, 0.75), t(3.0, -9.0))


def test_texts() -> None:
    def texts(x):
        n = int(x.sum())
        return f"n={n:>4} {x.max().item():.2f} {n!r}", "%d of %s" % (n, "x"), str(n) + "!", f"{'plain'}"

    check(texts, t(1.0, 2.0), t(5.0, 2.0))


def test_format_and_join() -> None:
    def texts(x):
        n = int(x.sum())
        return "{} of {name}".format(n, name=x.max().item()), "-".join(["a", str(n)]), "-".join("ab")

    check(texts, t(1.0, 2.0), t(5.0, 2.0))


def test_logging_and_warnings_at_each_run(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("chatty")

    def chatty(x):
        if x.sum() > 0:
            log.warning("sum %s", x.sum().item())
        else:
            warnings.warn("negative", stacklevel=1)
        return x

    static = d2s.to_static(chatty, full_graph=True)
    static(t(1.0, 2.0))
    static(t(2.0, 2.0))
    said = [record.getMessage() for record in caplog.records if record.name == "chatty"]
    assert said == ["sum 3.0", "sum 4.0"]
    with pytest.warns(UserWarning, match="negative"):
        static(t(-1.0, -2.0))
    assert len(static.programs) == 1


def test_strides_of_a_merged_tensor_are_asked_at_each_run() -> None:
    def laid_out(x):
        x = x.reshape(1, 2).expand(2, 2)
        y = x.t() if x.sum() > 0 else x.contiguous()
        return y.is_contiguous(), y.stride(), y.stride(0), y

    check(laid_out, t(1.0, 2.0), t(-1.0, -2.0))


def test_print_prints_at_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    def chatty(x):
        if x.sum() > 0:
            print("positive", f"{x.sum().item():.1f}", sep=": ")
        else:
            print("negative")
        return x

    program = capture(convert(chatty), bind(chatty, t(1.0, 2.0)), convert=convert).program
    assert capsys.readouterr().out == ""
    run = compile_program(program).run
    run(t(1.0, 2.0))
    run(t(-1.0, 2.0 - 4))
    assert capsys.readouterr().out == "positive: 3.0\nnegative\n"


def test_exceptions_with_run_time_texts() -> None:
    def strict(x):
        if x.sum() > 2:
            raise ValueError(f"sum is {x.sum().item()}")
        return x

    check(strict, t(1.0, 0.0), t(2.0, 3.0), t(4.0, 5.0), ways=3)


def test_zero_division_is_raised_by_the_program() -> None:
    def divided(x):
        return 10 // int(x.sum())

    check(divided, t(1.0, 2.0), t(1.0, -1.0))


def test_in_code_that_is_not_converted_a_number_forks() -> None:
    def positions(x):
        return sorted([3, int(x[0]), 1], key=lambda n: -n), [1, 2, 3].index(2)

    check(positions, t(2.0, 0.0), t(5.0, 0.0), t(-5.0, 0.0), ways=3)


def test_pythons_own_generator_is_asked_at_each_run() -> None:
    def noisy(x):
        return x * random.random() if x.sum() > 0 else random.randint(1, 9)

    static = d2s.to_static(noisy, full_graph=True)
    for x in (torch.ones(2), -torch.ones(2)):
        for seed in (0, 1):
            random.seed(seed)
            want = noisy(x)
            random.seed(seed)
            assert torch.equal(torch.as_tensor(want), torch.as_tensor(static(x)))
    assert len(static.programs) == 1
    with pytest.raises(d2s.ConversionError, match="picked by chance"):
        d2s.to_static(lambda x: random.sample([x], int(x.sum())), full_graph=True)(torch.ones(1))


def test_the_hash_of_a_number_is_refused_with_a_remedy() -> None:
    def hashed(x):
        return hash(int(x.sum()))

    with pytest.raises(CaptureError, match="hash") as caught:
        capture(convert(hashed), bind(hashed, torch.ones(2)), convert=convert)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "function",
    [
        lambda x, p: functional.batch_norm(x, torch.zeros(4), torch.ones(4), training=True, momentum=p),
        lambda x, p: functional.layer_norm(x, (4,), eps=p),
        lambda x, p: functional.dropout(x, p),
        lambda x, p: functional.cross_entropy(x, torch.tensor([0, 1, 2]), label_smoothing=p),
        lambda x, p: x.clone().uniform_(0, p),
        lambda x, p: torch.tensor([p, 1.0]) + x.sum(),
        lambda x, p: torch.addmm(x.T @ x, x.T, x, beta=p, alpha=p),
        lambda x, p: torch.quantile(x, p),
        lambda x, p: torch.full((2,), p) * x.sum(),
    ],
)
def test_torch_takes_a_float_of_the_run(function: Any) -> None:
    def given(x, p):
        return function(x, float(p))

    x = torch.rand(3, 4)
    check(given, (x, torch.tensor(0.3)), (x, torch.tensor(0.8)))


def test_a_size_that_depends_on_a_float_is_refused() -> None:
    static = d2s.to_static(lambda p: torch.arange(0, float(p)), full_graph=True)
    with pytest.raises(d2s.ConversionError, match="size of the result of arange"):
        static(torch.tensor(3.0))


def test_no_clause_of_the_users_catches_that_a_fake_has_no_data() -> None:
    @d2s.to_static(full_graph=True)
    def guarded(x):
        try:
            torch.nn.utils.clip_grad_norm_([x], float(x.sum()))
        except Exception:
            return x
        return x * 2

    with pytest.raises(d2s.ConversionError, match="float value"):
        guarded(torch.ones(2))


def test_seeds_are_set_at_each_run() -> None:
    def seeded(x, n):
        torch.manual_seed(int(x.sum()) if x.sum() > 0 else 5)
        random.seed(3)
        np.random.seed(n)
        return (x + torch.rand(2)) * random.random() + np.random.rand()

    check(seeded, (t(1.0, 2.0), 1), (t(-1.0, 2.0), 1), (t(3.0, 2.0), 1))


def checked(x):
    n = x.item()
    torch._check(n > -5, lambda: f"far below: {n}")
    torch._check_value(n >= 0)
    return x * 2


def checked_in_a_try(x):
    try:
        torch._check_index(x.item() < 3, lambda: "beyond")
    except IndexError as error:
        return -x, str(error)
    return x, ""


def checked_sizes(x):
    n = x.int().item()
    torch._check_is_size(n, max=3)
    return torch.zeros(n)


def checked_elements(x):
    torch._check_tensor_all(x > 0, lambda: f"{x.item()} is not above")
    torch._assert(x < 3, "not below")
    torch._check_with(TypeError, x.item() != 2, lambda: "two")
    return x * 2


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("function", [checked, checked_in_a_try, checked_sizes, checked_elements])
def test_checks_of_torch(function: Any) -> None:
    check(function, t(1.0), t(-1.0), t(4.0), t(-7.0), t(2.0))

"""Loops on tensors: one loop of the program, with what the trips change carried from trip to trip.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from check import bind, check

from d2s.conversion import convert
from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Program, Raise, While, walk_blocks
from d2s.runtime.recording.capture import capture


def t(*values: Any) -> torch.Tensor:
    return torch.tensor(values if len(values) > 1 else values[0])


def loops(program: Program) -> list[While]:
    return [op for block in walk_blocks(program.body) for op in block.ops if isinstance(op, While)]


def test_while_with_a_compound_test_and_a_python_counter() -> None:
    def squeeze(x, low, high):
        i = 0
        while (x.max() > high or x.min() < low) and i < 20:
            x = x * 0.7
            i = i + 1
        return x, i

    bounds = (t(-1.0), t(1.0))
    program = check(squeeze, (t(4.0, -1.0), *bounds), (t(1.0, -9.0), *bounds), (t(0.0, 0.0), *bounds), ways=3)
    (loop,) = loops(program)
    assert len(loop.params) == 2
    assert loop.location is not None
    assert loop.location.line == squeeze.__code__.co_firstlineno + 2


def test_if_in_a_loop_on_an_integer_tensor() -> None:
    def collatz(n):
        steps = 0
        while n != 1:
            if n % 2 == 0:
                n = n // 2
            else:
                n = 3 * n + 1
            steps += 1
        return steps

    check(collatz, t(6), t(1), t(7), ways=3)


def test_for_over_a_range_of_a_tensor() -> None:
    def final_index(x, n, start):
        i = -1
        for i in range(int(start), n, 2):
            x = x + i
        for _ in range(n):
            x = x * 2
        return x, i

    check(final_index, (t(1.0), t(5), t(1)), (t(1.0), t(1), t(0)), (t(1.0), t(0), t(0)), ways=3)


def test_long_loops_stay_rolled_and_short_ones_unroll() -> None:
    def cumulative(x):
        total = torch.zeros(())
        for i, v in enumerate(x, 1):
            if v < 0:
                continue
            total = total + v * i
        for k in range(100):
            total = total + k
        for a, b in zip(x, reversed(range(len(x)))):
            total = total + a * b
        return total

    long = check(cumulative, torch.arange(40.0) - 20, torch.arange(40.0) - 30)
    assert len(loops(long)) == 3
    short = check(cumulative, torch.arange(4.0) - 2, torch.arange(4.0) - 3)
    assert len(loops(short)) == 1


def test_break_continue_and_else() -> None:
    def search(m, key):
        found = False
        trail = 0
        for row in m:
            for v in row:
                if v == key:
                    found = True
                    break
                if v < 0:
                    continue
                trail += 1
            else:
                trail += 10
                continue
            break
        else:
            trail += 100
        return found, trail

    m = t([1, -2, 3], [4, 5, -6])
    check(search, (m, t(1)), (m, t(3)), (m, t(5)), (m, t(9)), ways=4)
    wide = torch.arange(60).reshape(20, 3) % 23
    check(search, (wide, t(1)), (wide, t(22)), (wide, t(99)), ways=3)


def test_break_and_return_inside_while() -> None:
    def until_small(x, limit):
        for step in range(50):
            if x.abs().max() < limit:
                return "small", step
            if x.sum() > 100:
                break
            x = x * 1.5 - 1
        while True:
            x = x / 2
            if x.max() < 1:
                break
        return "other", x

    check(until_small, (t(1.0, 2.0), t(0.9)), (t(0.1, 0.2), t(0.9)), (t(90.0, 2.0), t(0.9)), ways=3)


def test_a_tensor_returned_from_a_loop() -> None:
    def first_large(x):
        for v in x:
            if v > 1:
                return v * 2
        return x.sum()

    check(first_large, torch.arange(30.0) / 20, torch.arange(30.0) / 60)


def test_nested_loops_with_branches() -> None:
    def nested(x, n):
        total = torch.zeros(())
        k = 0
        while k < n:
            j = 0
            while j < k:
                if x[j] > 0:
                    total = total + x[j] * k
                else:
                    total = total - 1
                j += 1
            k += 1
        return total, k

    check(nested, (t(1.0, -2.0, 3.0), t(3)), (t(1.0, -2.0, 3.0), t(0)), (t(-1.0, -2.0, 3.0), t(2)), ways=3)


def test_shapes_that_change_in_each_trip() -> None:
    def fold(x):
        rounds = 0
        while x.shape[0] > 1:
            half = (x.shape[0] + 1) // 2
            a, b = x[:half], x[half:]
            if b.shape[0] < half:
                b = F.pad(b, (0, 1))
            x = torch.maximum(a, b) if a.sum() > b.sum() else a + b
            rounds += 1
        return x, rounds

    check(fold, t(1.0, 2.0, 3.0, 4.0, 5.0), t(9.0, 8.0, 7.0, 1.0, 0.0))


def test_filtering_until_small() -> None:
    def compact(x):
        passes = 0
        while x.numel() > 2:
            keep = x > x.mean()
            if keep.all() or not keep.any():
                break
            x = x[keep]
            passes += 1
        return x, passes

    check(
        compact,
        t(1.0, 2.0, 3.0, 10.0, 11.0, 12.0),
        t(1.0, 1.0, 1.0, 1.0, 1.0, 100.0),
        t(2.0, 2.0, 2.0, 2.0, 2.0, 2.0),
    )


def test_what_changes_kind_in_the_first_trip_is_peeled() -> None:
    def peeled(x):
        best, total, last = None, 0, 0.0
        while x.sum() > 1:
            if best is None or x.max() > best:
                best = x.max()
            total = total + x
            last = last + 1
            x = x / 3
        return best, total, last

    check(peeled, t(1.0, 2.0), t(9.0, 20.0), t(0.1, 0.2), ways=3)


def test_a_name_bound_in_the_loop_only() -> None:
    def bound_inside(x):
        while x.sum() < 10:
            y = x * 2
            x = x + y
        return y

    check(bound_inside, t(1.0, 2.0), t(3.0, 2.0))


def test_writes_into_a_buffer_and_views_in_a_loop() -> None:
    def written(x, n):
        out = torch.full((5,), -1.0)
        k = 0
        while k < n:
            row = out[k : k + 2]
            row.add_(x[k] * 2)
            out[k] = x[k] * 3
            k += 1
        return out, k

    check(written, (torch.arange(4.0), t(3)), (torch.arange(4.0) + 1, t(1)), (torch.arange(4.0), t(0)), ways=3)


def test_truth_of_a_tensor_written_in_the_loop() -> None:
    def flagged(x):
        go = torch.ones((), dtype=torch.bool)
        trips = 0
        while go:
            x = x + 1
            trips += 1
            if x.sum() > 5:
                go.fill_(False)
        return x, trips

    check(flagged, t(1.0, 2.0), t(-5.0, 2.0), t(9.0, 0.0), ways=3)


def test_try_finally_inside_a_loop() -> None:
    def with_finally(x):
        passes = torch.zeros(())
        while x > 0:
            try:
                x = x - 1
                if x < 2:
                    break
                if x > 4:
                    continue
                passes = passes + 1
            finally:
                passes = passes + 10
        return x, passes

    check(with_finally, t(6.0), t(3.0), t(1.0), ways=3)


def test_a_loop_that_raises() -> None:
    def strict(x):
        count = 0
        while x.sum() < 10:
            if x.max() > 4:
                raise ValueError(f"too large after {count}")
            x = x * 2
            count += 1
        return x, count

    program = check(strict, t(1.0, 2.0), t(2.4, 2.4), t(9.0, 9.0), ways=3)
    assert [block for block in walk_blocks(program.body) if isinstance(block.terminator, Raise)]


def test_a_raise_in_a_loop_inside_a_try_leaves_the_loop() -> None:
    def tried(x):
        try:
            while x.sum() < 10:
                if x.max() > 4:
                    raise ValueError
                x = x * 2
        except ValueError:
            return -x
        return x

    assert len(loops(check(tried, t(1.0, 2.0), t(-1.0, 5.0), t(20.0, 1.0), t(4.0, 4.0)))) == 1


def test_a_python_loop_stays_python() -> None:
    def configured(x):
        config = {"skip": 9, "a": 1, "b": 5}
        for key in config:
            if key.startswith("skip"):
                continue
            if config[key] > 2:
                return x * config[key], key
        return x

    assert not loops(check(configured, t(1.0, 2.0), t(-1.0, 2.0)))


def test_nonlocal_counter_and_attributes_in_a_loop() -> None:
    class Box:
        def __init__(self, x):
            self.x = x
            self.moves = 0

    def counted(x):
        calls = 0
        box = Box(x)

        def bump(v):
            nonlocal calls
            calls += 1
            box.moves += 2
            box.x = box.x + v
            return v + calls

        while x.sum() < 10:
            x = bump(x)
        return x, calls, box.moves, box.x

    check(counted, t(1.0, 2.0), t(5.0, 4.0), t(50.0, 4.0), ways=3)


def test_a_decision_in_a_test_or_body_that_no_rule_covers() -> None:
    def filtered(x):
        rounds = 0
        while any(map(lambda v: v > 1, (x[0], x[1]))):
            small = list(filter(lambda v: v < 1, x))
            x = x / (2 + len(small))
            rounds += 1
        return x, rounds

    check(filtered, t(4.0, 1.5), t(0.5, 0.5), t(0.5, 3.0), ways=3)


def test_walrus_in_a_test() -> None:
    def walrus(x):
        while (m := x.max()) > 1:
            x = x - m / 2
        return x, m

    check(walrus, t(4.0, 1.5), t(0.5, 0.5))


def test_a_variable_that_never_settles_is_refused() -> None:
    def growing(x):
        chain: Any = None
        while x.sum() < 10:
            chain = {"next": chain}
            x = x + 1
        return x, chain

    with pytest.raises(CaptureError, match="changes a variable") as caught:
        capture(convert(growing), bind(growing, t(1.0, 2.0)), convert=convert)
    assert caught.value.remedy

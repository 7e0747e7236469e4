"""Loops and early ends of loops are written as people write them."""

import pytest
import torch
from equality import equal_programs

import d2s
from d2s import InputSpec


def ranged(x, n):
    for i in range(2, int(n), 3):
        x = x + i
        if x.sum() > 10:
            break
        if x.sum() > 5:
            continue
        x = x * 2
    return x


def last_index(x, n):
    i = -1
    for i in range(int(n)):
        x = x + i
    return x, i


def rows(x, n):
    total = x.new_zeros(())
    for row in x:
        total = total + row.sum() * n
    return total


def whilst(x, n):
    k = 0
    while k < n and x.sum() < 100:
        x = x * 2
        k = k + 1
        if x.max() > 30:
            break
    return x, k


def nested(x, n):
    for i in range(int(n)):
        for k in range(int(n) - 1):
            x = x + i * k
            if x.sum() > 20:
                break
        if x.sum() > 40:
            break
    return x


def swapped(x, n):
    a = x * 1
    b = x + 1
    while a.sum() < n and b.abs().max() < 1000:
        a, b = b, a + b
    return a, b


LOOPS = {
    ranged: ("for i in range(2, int(n), 3):", "break"),
    last_index: ("for i in range(int(n)):\n            x = x + i\n",),
    rows: ("for row in x:\n            total = total + row.sum() * n\n",),
    whilst: ("while n > k and x.sum() < 100:", "break"),
    nested: ("for i in range(int(n)):", "for k in range(int(n) - 1):", "break"),
    swapped: ("while a.sum() < n and b.abs().max() < 1000:\n            a, b = b, a + b\n",),
}


@pytest.mark.parametrize("function", LOOPS, ids=lambda function: function.__name__)
def test_a_loop_is_written_as_it_was(function):
    spec = [InputSpec([None, 2] if function is rows else [2]), InputSpec([], torch.int64)]
    program = d2s.to_static(function, input_spec=spec).concrete_program(
        torch.ones(20, 2) if function is rows else torch.ones(2), torch.tensor(9)
    )
    source = d2s.to_source(program)
    for text in LOOPS[function]:
        assert text in source
    made = d2s.to_dynamic(program)
    for n in (0, 1, 3, 9, 40):
        for scale in (1.0, 7.0, -2.0):
            x = torch.tensor([[0.5, 1.0], [2.0, -1.0], [0.0, 3.0]]) * scale
            given = x if function is rows else x[0]
            torch.testing.assert_close(made(given, torch.tensor(n)), function(given, torch.tensor(n)))
    again = d2s.to_static(made, input_spec=spec).forward.concrete_program(
        torch.ones(20, 2) if function is rows else torch.ones(2), torch.tensor(9)
    )
    assert equal_programs(program, again)


def test_positions_are_written_as_they_are():
    def part(x, low, high):
        return x[low:high], "ab".ljust(int(high) + 2, "."), (x, x * 2, x + 1)[low]

    arguments = torch.arange(6.0), torch.tensor(1), torch.tensor(4)
    program = d2s.to_static(part).concrete_program(*arguments)
    source = d2s.to_source(program)
    assert "x[low:high]" in source and '"ab".ljust(int(high) + 2' in source
    made = d2s.to_dynamic(program)
    got, want = made(torch.arange(6.0), torch.tensor(0), torch.tensor(2)), part(torch.arange(6.0), 0, 2)
    assert got[1] == want[1]
    torch.testing.assert_close((got[0], got[2]), (want[0], want[2]))
    again = d2s.to_static(made).forward.concrete_program(*arguments)
    assert equal_programs(program, again)


def halved(x, trips=0):
    if x.abs().sum() < 1:
        return x, trips
    return halved(x / 2, trips + 1)


def test_what_a_loop_carries_stays_in_its_variables():
    program = d2s.to_static(halved).concrete_program(torch.ones(3))
    source = d2s.to_source(program)
    assert "while " in source and "None" not in source and "trips_" not in source, source
    again = d2s.to_static(d2s.to_dynamic(program), full_graph=True)
    for x in (torch.ones(3), torch.full((3,), 40.0), torch.full((3,), 0.1)):
        assert again(x)[1] == halved(x)[1]
        torch.testing.assert_close(again(x)[0], halved(x)[0])
    assert len(again.forward.programs) == 1

"""Writes in branches and loops: to memory from outside, through views from outside and inside, and nested."""

from typing import Any

import pytest
import torch
from lower import agrees, both, lowered_by_python

import d2s
from d2s.runtime.ir.program import Call, If, While, walk_ops
from d2s.runtime.ir.values import defined_in
from d2s.runtime.lowering.origins import Origins
from d2s.runtime.lowering.pipeline import lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.verify import verify


def rows(x, n):
    table = torch.zeros(4, 3)
    first = table[0]
    left = table[:, :2]
    for i in range(int(n)):
        row = table[i]
        row.add_(x)
        if x.sum() > 3:
            left.mul_(2)
            if first.sum() > 20:
                row[1:] -= 1
        x = x + left[0].sum()
    return table, first + 0, left.sum()


def argument(x, y):
    view = x.view(-1)
    while x.sum() < y:
        view[1:] += 1
        x[0] *= 2
    return view * 2


def own_memory_each_trip(x):
    h = x.clone()
    while h.sum() < 50:
        h = h * 2
        h[0] = 1.5
        part = h[1:]
        if h.sum() > 20:
            part += 3
    return h


def given_up(x):
    h = x if x.sum() > 100 else x * 2
    h = h.clone() if h.sum() < 3 else h * 3
    h[0] = 7
    while h.sum() < 50:
        h[1] += 2
        h = h * 2
    return h


CASES: dict[Any, list[Any]] = {
    given_up: [(torch.ones(3) * a,) for a in (0.1, 1.0, 5.0, 100.0)],
    rows: [(torch.ones(3) * a, torch.tensor(n)) for a, n in ((0.5, 0), (0.5, 3), (2.0, 4), (5.0, 4))],
    argument: [(torch.ones(2, 2) * a, torch.tensor(b)) for a, b in ((1.0, 9.0), (3.0, 1.0), (0.5, 30.0))],
    own_memory_each_trip: [(torch.ones(3) * a,) for a in (1.0, 5.0, 100.0)],
}


@both
@pytest.mark.parametrize("function", CASES, ids=lambda function: function.__name__)
def test_writes_are_those_of_eager(function, lower):
    agrees(lower, function, *CASES[function])


@pytest.mark.parametrize("function", CASES, ids=lambda function: function.__name__)
def test_no_branch_and_no_loop_writes_outside(function):
    static = d2s.to_static(function, full_graph=True)
    static(*(x.clone() for x in CASES[function][0]))
    program = verify(lowered(static.programs[0].program).program)
    origins = Origins(program)
    calls = [op for op in walk_ops(program.body) if isinstance(op, Call) and op.effects.writes]
    assert calls
    for op in walk_ops(program.body):
        if isinstance(op, If | While):
            inside = defined_in(op)
            written = [one for one in calls if any(one is inner for block in op.blocks for inner in walk_ops(block))]
            assert inside.issuperset(origins.root(value) for call in written for value in call.effects.writes)


def after(x, y):
    z = x if x.sum() > y.sum() else y
    z += 1
    return x * 2


def inside(x, y):
    z = x if x.sum() > y.sum() else y
    if x.sum() > 0:
        z += 1
    return x, y


def before(x, y):
    x, y = x * 2, y * 2
    z = x if x.sum() > y.sum() else y
    x += 1
    return z


def carried(x, y):
    x = x * 2
    z = x
    while z.sum() < y.sum():
        z += x
        z = z * 3
    return z, x


def next_trip(x, y):
    x = x * 2
    z = y * 2
    while z.sum() < 30:
        w = x.sum()
        z = x if z.sum() > 4 else z * 2
        z += w + 1
    return z


@pytest.mark.parametrize("function", [after, inside, before, carried, next_trip], ids=lambda one: one.__name__)
def test_a_write_to_what_may_be_in_the_memory_of_another_is_refused(function):
    with pytest.raises(LoweringError, match=r"test_regions.py:\d+: a write"):
        lowered_by_python(function, torch.ones(2), torch.zeros(2))

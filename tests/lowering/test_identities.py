"""A result that is an argument, or a view of one, is that, and no copy."""

from typing import Any

import pytest
import torch
from lower import both, lowered_by_graph, lowered_by_python

from d2s.runtime.lowering.refusing import LoweringError


def halved(x):
    while x.sum() > 3:
        x = x / 2
    return x, x * 2


def chosen(x, y):
    z = x if x.sum() > y.sum() else y
    if x[0] > 0:
        return z, x
    return z * 2, y


def views(x, i):
    return x[1:], x.t()[i], x.view(-1)[2]


def written(x):
    y = x
    x += 1
    if x.sum() > 6:
        x *= 2
    return y


CASES: dict[Any, list[Any]] = {
    halved: [(torch.ones(2) * a,) for a in (1.0, 9.0)],
    chosen: [(torch.ones(2) * a, torch.ones(2) * b) for a, b in ((1, 2), (2, 1), (-1, -2), (-2, -1))],
    views: [(torch.arange(6.0).reshape(3, 2), torch.tensor(i)) for i in (0, 1, -1)],
    written: [(torch.ones(2) * a,) for a in (1.0, 9.0)],
}


def memory(tensors, args):
    """For each tensor its place and strides in the memory of an argument, or None."""
    places = {one.untyped_storage().data_ptr(): number for number, one in enumerate(args)}
    return [
        (places[start], one.storage_offset(), one.stride(), one is args[places[start]])
        if (start := one.untyped_storage().data_ptr()) in places
        else None
        for one in tensors
    ]


@both
@pytest.mark.parametrize("function", CASES, ids=lambda function: function.__name__)
def test_results_are_in_the_memory_of_the_arguments(function, lower):
    run = lower(function, *CASES[function][0])
    seen = set()
    for args in CASES[function]:
        theirs, mine = ([one.clone() for one in args] for _ in range(2))
        want, got = function(*theirs), run(*mine)
        want, got = (one if isinstance(one, tuple) else (one,) for one in (want, got))
        assert all(map(torch.equal, want, got)) and all(map(torch.equal, theirs, mine))
        assert memory(got, mine) == memory(want, theirs)
        seen.update(memory(got, mine))
    assert seen - {None}


def test_one_of_several_views_is_refused():
    def f(x):
        best = x[0]
        for row in x:
            if row.sum() > best.sum():
                best = row
        return best

    for lower in (lowered_by_graph, lowered_by_python):
        with pytest.raises(LoweringError, match="view of an argument"):
            lower(f, torch.ones(3, 2))

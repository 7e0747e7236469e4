"""Indices that are known only when the program runs: reads, writes, views, from the end, and out of range."""

import pytest
import torch
from lower import agrees, both, lowered_by_python

import d2s
from d2s.runtime.lowering.checks import Unlowered
from d2s.runtime.lowering.refusing import LoweringError


def places(x, i, j):
    n = int(j)
    row = x[i]
    y = x.clone()
    y[n, 1:] = 5.0
    y[..., i] += row[n]
    view = y[:, None, n]
    view[0] = -1
    return row, x[1:, i], x[i, n], x[..., n], x[0, i], x[None, i, ::2], y


@both
def test_reads_and_writes_through_views(lower):
    x = torch.arange(9.0).reshape(3, 3)
    run = agrees(
        lower, places, *((x, torch.tensor(i), torch.tensor(j)) for i, j in ((0, 1), (2, 2), (-1, 0), (1, -3)))
    )
    for i, j in ((3, 0), (0, -4)):
        with pytest.raises(Unlowered):
            run(x, torch.tensor(i), torch.tensor(j))


@both
def test_sizes_that_are_not_known(lower):
    def last(x, i):
        return x[i - 1], x[-1, i]

    x = torch.arange(12.0).reshape(4, 3)
    spec = [d2s.InputSpec([None, 3]), d2s.InputSpec([], torch.int64)]
    run = agrees(lower, last, (x, torch.tensor(2)), (x[:2], torch.tensor(0)), input_spec=spec)
    with pytest.raises(Unlowered):
        run(x[:2], torch.tensor(-2))


def test_a_slice_of_unknown_length_is_refused():
    def f(x, n):
        return x[: int(n)].sum()

    with pytest.raises(LoweringError, match=r"test_indexing.py:\d+: a slice"):
        lowered_by_python(f, torch.ones(3), torch.tensor(1))

"""What eager refuses by the values of a tensor is refused when compiled, and nothing is written out of range."""

import pytest
import torch
import torch.nn.functional as F
from compare import outcome, same
from lower import lowered_by_python

import d2s
from d2s.runtime.backend import compiling
from d2s.runtime.lowering.checks import Unlowered
from d2s.runtime.lowering.refusing import LoweringError

# What is passed: something good, something else that is, and what is refused.
VALUES = {
    "selected": ([3, 0], [1, 1], [0, -1]),
    "added": ([3, 1], [0, 0], [4, 1]),
    "copied": ([3, 1], [0, 2], [0, -1]),
    "scattered": ([[0, 2, 1]], [[2, 0, 0]], [[0, 3, 1]]),
    "summed": ([[0, 3, 1]], [[1, 1, 1]], [[0, 4, 1]]),
    "reduced": ([[3, 2, 1]], [[0, 0, 0]], [[0, -1, 1]]),
    "classes": ([2, 0], [1, 1], [3, 0]),
    "drawn": ([1.0, 0.0], [0.0, 1.0], [2.0, 0.0]),
    "drawn_in_place": ([1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]),
    "guessed": ([0.5, 1.0], [0.25, 0.0], [1.5, 0.0]),
    "true": ([1.0, 0.0], [0.5, 1.0], [-0.5, 0.0]),
}
GOOD, OTHER, BAD = ({name: torch.tensor(one[at]) for name, one in VALUES.items()} for at in range(3))


def everything(
    table, selected, added, copied, scattered, summed, reduced, classes, drawn, drawn_in_place, guessed, true
):
    rows = table[:2] * 2
    return (
        table.index_select(0, selected),
        torch.index_add(table, dim=0, index=added, source=rows),
        table.clone().index_copy_(0, copied, rows),
        table.scatter(-1, scattered, 7.0),
        table.clone().scatter_add_(0, summed, rows),
        torch.scatter_reduce(table, 0, reduced, rows, "amax"),
        F.one_hot(classes, 3),
        torch.bernoulli(drawn),
        torch.zeros(2).bernoulli_(drawn_in_place),
        F.binary_cross_entropy(guessed, target=true),
        torch.bernoulli(table, 1.0),
    )


def test_what_is_out_of_range(monkeypatch):
    monkeypatch.setattr(compiling, "_TRIALS", 0)
    static = d2s.to_static(everything, full_graph=True, backend="inductor")
    table = torch.arange(12.0).reshape(4, 3)
    for given in (GOOD, OTHER):
        assert same(everything(table, *given.values()), static(table, *given.values()), 1e-6)
    assert static.programs[0].not_compiled is None
    for name, one in BAD.items():
        want, got = (outcome(function, table, *{**GOOD, name: one}.values()) for function in (everything, static))
        assert isinstance(want[0], type) and same(want, got), f"{name}: {got} instead of {want}"


def test_sizes_that_are_not_known():
    def chosen(table, places):
        return table.index_select(1, places)

    table, spec = torch.arange(8.0).reshape(2, 4), [d2s.InputSpec([2, None]), d2s.InputSpec([None], torch.int64)]
    run = lowered_by_python(chosen, table, torch.tensor([3, 0]), input_spec=spec)
    assert torch.equal(run(table[:, :2], torch.tensor([1])), table[:, 1:2])
    with pytest.raises((Unlowered, IndexError)):
        run(table[:, :2], torch.tensor([2]))


def test_what_torch_compiles_to_something_else(monkeypatch):
    monkeypatch.setattr(compiling, "_TRIALS", 0)

    def powers(x, n):
        total = x * 0
        while total.sum() < n:
            total = total + 2**x + torch.pow(3, x.to(torch.int32))
        return total

    static = d2s.to_static(powers, full_graph=True, backend="inductor")
    for n in (0, 20):
        x = torch.tensor([3, 1])
        assert same(powers(x, torch.tensor(n)), static(x, torch.tensor(n)))
    assert static.programs[0].not_compiled is None
    with pytest.raises(LoweringError, match="multilabel_margin_loss"):
        lowered_by_python(F.multilabel_margin_loss, torch.ones(1, 3), torch.tensor([[-1, 0, 0]]))

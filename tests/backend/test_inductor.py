"""The "inductor" backend: the answers of eager from a compiled graph, else from the program itself."""

import copy
import time
from dataclasses import replace

import pytest
import torch
from adaptive_rnn import AdaptiveRNN
from compare import check_calls, outcome, same
from greedy_decode import decoder

import d2s
from d2s.errors import D2SError
from d2s.runtime.backend import compiling
from d2s.runtime.backend.compiling import Way
from d2s.runtime.ir.program import While
from d2s.runtime.lowering.refusing import LoweringError


@pytest.fixture
def graphs(monkeypatch):
    """The answers of graphs, from the first call on: each entry is one."""
    found = []
    run_graph = Way._try

    def noting(self, inputs):
        found.append(run_graph(self, inputs))
        return found[-1]

    monkeypatch.setattr(compiling, "_TRIALS", 0)
    monkeypatch.setattr(Way, "_try", noting)
    return found


def agrees(static, function, *calls):
    """The number of programs, once the static function has done for each call what the function does."""
    check_calls(function, static, calls, 1e-6)
    return static.programs


def test_the_examples(graphs):
    for model, calls in (
        (AdaptiveRNN(4, 8, 20), [(torch.randn(2, 4), torch.tensor(one)) for one in (0.1, 0.9, 0.9999)]),
        (decoder(), [(torch.randn(1, 16, generator=torch.Generator().manual_seed(seed)),) for seed in (1, 3, 5)]),
    ):
        static = d2s.to_static(copy.deepcopy(model), full_graph=True, backend="inductor")
        with torch.no_grad():
            (program,) = agrees(static.forward, model, *calls)
        assert program.not_compiled is None
    assert len(graphs) == 6 and None not in graphs


def noisy(x, n):
    total = torch.zeros(3)
    for i in range(int(n)):
        step = torch.rand(3)
        if step.sum() > 1.5:
            x[i] += step
        total = total + x[i] / int(n)
    return total, x


def test_random_draws_writes_and_an_index_out_of_range(graphs):
    static = d2s.to_static(noisy, backend="inductor")
    calls = [(torch.ones(4, 3), torch.tensor(n)) for n in (2, 4, 0, 5)]
    for args in calls:
        torch.manual_seed(3)
        want = outcome(noisy, *copy.deepcopy(args))
        after = torch.rand(1)
        torch.manual_seed(3)
        got = outcome(static, *copy.deepcopy(args))
        assert same(want, got, 1e-6), f"{got} instead of {want}"
        assert torch.equal(after, torch.rand(1))
    assert [one is None for one in graphs] == [False, False, False, True]
    assert static.programs[0].not_compiled is None


def test_sizes_stay_free_and_one_that_is_broadcast_has_a_graph_of_its_own(graphs):
    def f(x, y):
        while x.sum() > y.sum():
            x = x - y - 1
        return x

    static = d2s.to_static(f, backend="inductor", input_spec=[d2s.InputSpec([None, 2]), d2s.InputSpec([None, 2])])
    calls = [(torch.ones(n, 2) * 9, torch.ones(m, 2)) for n, m in ((3, 3), (5, 5), (3, 1), (4, 1), (1, 1))]
    (program,) = agrees(static, f, *calls)
    assert None not in graphs and program.not_compiled is None
    assert 1 < len(program._run.inference._graphs) < 5


def test_sizes_that_were_equal_need_not_be(graphs):
    def f(x, y):
        if x.sum() > 0:
            return x.cumsum(0)[-1] * y
        return y.flip(0) + x.sum()

    static = d2s.to_static(f, backend="inductor", input_spec=[d2s.InputSpec([None]), d2s.InputSpec([None])])
    calls = [(sign * torch.rand(n), torch.rand(m)) for n, m in ((3, 3), (3, 4), (5, 2)) for sign in (1, -1)]
    (program,) = agrees(static, f, *calls)
    assert None not in graphs and len(program._run.inference._graphs) == 1


def test_sizes_that_only_the_run_knows(graphs):
    def f(x):
        if x.mean() > 0:
            x = x * 2 - 1
        return x[x > 0].sum(), x.nonzero()

    (program,) = agrees(d2s.to_static(f, backend="inductor"), f, *[(torch.randn(9) + n,) for n in (-5, 0, 0.5, 5)])
    assert None not in graphs and program.not_compiled is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_op_by_op(dtype, graphs):
    def f(x):
        return (x * x * 1.3).tanh() * x

    x = torch.randn(400, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert torch.equal(d2s.to_static(f, backend="inductor")(x), f(x))
    assert None not in graphs


def carried_from_a_view(x):
    table = x * 2
    row = table[0]
    while row.sum() < 30:
        row = row + table[1].relu() + 1
    return row


def test_a_loop_that_starts_with_a_part_of_what_it_uses(graphs):
    calls = [(torch.randn(3, 4),), (torch.full((3, 4), 20.0),)]
    (program,) = agrees(d2s.to_static(carried_from_a_view, backend="inductor"), carried_from_a_view, *calls)
    assert None not in graphs and program.not_compiled is None


def test_what_raises_does_so_as_itself(graphs):
    def f(x):
        if x.sum() < 0:
            raise ValueError(f"negative: {float(x.sum())}")
        return x / 2

    static = d2s.to_static(f, backend="inductor")
    agrees(static, f, (torch.ones(2),), (-torch.ones(2),))
    with pytest.raises(ValueError, match="negative") as raised:
        static(-torch.ones(2))
    assert graphs[0] is not None and graphs[1:] == [None, None]
    assert not raised.value.__cause__


def test_what_cannot_be_lowered_runs_and_says_why():
    def f(x):
        found = []
        while x.sum() > 1:
            found.append(x)
            x = x / 2
        return found

    static = d2s.to_static(f, backend="inductor")
    (program,) = agrees(static, f, (torch.ones(2) * 4,), (torch.ones(2),))
    assert "append" in program.not_compiled
    assert "not compiled: " in str(d2s.explain(static, torch.ones(2)))


def halved(x):
    while x.sum() > 1:
        x = x / 2
    return x * 2


def with_a_slow_or_wrong_graph(change):
    """The reason that is given, when the graph that is run has been changed so, and whether answers are right."""
    static = d2s.to_static(halved, backend="inductor")
    static(torch.ones(2))
    way = static.programs[0]._run.inference
    (graph,) = way._graphs
    way._graphs[0] = replace(graph, run=lambda *inputs: change(graph.run(*inputs)))
    agrees(static, halved, *[(torch.ones(2) * n,) for n in range(8)])
    return static.programs[0].not_compiled


def test_on_trial_what_is_slow_or_wrong_is_found():
    def slow(values):
        time.sleep(0.05)
        return values

    assert with_a_slow_or_wrong_graph(slow) == "compiled it is no faster"
    assert (
        with_a_slow_or_wrong_graph(lambda values: [one * 1.01 for one in values])
        == "compiled it gives another answer"
    )


def smoothed(x):
    count = 0
    while x.std() > 0.1:
        x = (x * 0.5 + x.roll(1) * 0.25 + x.roll(-1) * 0.25).clone()
        count = count + 1
    return x, count


def test_straight_parts_are_compiled_of_what_is_given_up_as_a_whole(monkeypatch):
    def slow(*inputs):
        raise LoweringError("compiled it is no faster")

    monkeypatch.setattr(compiling, "_TRIALS", 0)
    static = d2s.to_static(smoothed, backend="inductor")
    calls = [(torch.randn(20) * n,) for n in (1, 3, 0)]
    agrees(static, smoothed, *calls)
    whole = static.programs[0]._run.inference
    whole._graphs[0] = replace(whole._graphs[0], run=slow)
    agrees(static, smoothed, *calls)
    assert static.programs[0].not_compiled == "compiled it is no faster; a part of it is compiled"
    (part,) = static.programs[0]._run.parts
    assert part.inference._graphs and not any(isinstance(op, While) for op in part._program.body.ops)


def test_another_backend_is_refused():
    with pytest.raises(D2SError, match="'torch', 'inductor', not 'tpu'"):
        d2s.to_static(noisy, backend="tpu")

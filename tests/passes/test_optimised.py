"""The passes over a program leave less to do, and nobody can tell by the answers."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from compare import same
from torch import nn

import d2s
from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import Call, Role, While, walk_ops
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.passes.splitting import with_split_cells, with_split_maps

X = torch.tensor([[1.0, -2.0], [3.0, 0.5]])
INPUTS = [X, -X, X * 10, X / 100, torch.zeros(2, 2)]


def check(function, *inputs, grad=False):
    """The program of a function and what the passes make of it, both as they run equal to eager."""
    static = d2s.to_static(function, full_graph=True)
    with torch.set_grad_enabled(grad):
        for one in inputs or INPUTS:
            args = one if isinstance(one, tuple) else (one,)
            want, got = (run(*(arg.clone() for arg in args)) for run in (function, static))
            assert same(want, got), f"{got} instead of {want}"
    (program,) = [each.program for each in (static.forward if isinstance(function, nn.Module) else static).programs]
    return program, optimised(program)


def calls(program, inside=False):
    """How often each function is called, in all of a program or only in its loops."""
    ops = list(walk_ops(program.body))
    if inside:
        ops = [op for loop in ops if isinstance(loop, While) for block in loop.blocks for op in walk_ops(block)]
    return Counter(display_name(op.target) for op in ops if isinstance(op, Call))


def test_what_no_trip_changes_leaves_all_loops():
    def f(x):
        total = torch.zeros(2, 2)
        while total.sum() < x.sum():
            part = torch.zeros(2, 2)
            while part.sum() < 3:
                part = part + torch.tanh(x) @ x.t() + 1.0
            total = total + part.abs()
        return total

    before, after = check(f, X, -X, X * 4)
    assert calls(before, inside=True)["torch.tanh"] > 0 == calls(after, inside=True)["torch.tanh"]
    assert calls(after)["torch.tanh"] == 1


def test_half_of_a_cell_leaves_the_loop():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.gru, self.lstm, self.rnn = nn.GRUCell(2, 3), nn.LSTMCell(2, 3), nn.RNNCell(2, 3, nonlinearity="relu")

        def forward(self, x):
            h, c, g, r = (torch.zeros(2, 3) for _ in range(4))
            count = 0
            while count < 7 and h.abs().sum() < x.sum() + 5:
                h, c = self.lstm(x, (h, c))
                g, r = self.gru(x, g), self.rnn(x, r)
                count = count + 1
            return h, c, g, r

    before, same_calls = check(Net())
    assert calls(before) == calls(same_calls)  # such small maps are not worth the calls
    after = optimised(with_split_cells(before))
    net = Net()
    with torch.no_grad():
        for x in INPUTS:
            sources = [net.get_parameter(str(one.source)[5:]) for one in before.inputs if one.role is Role.PARAMETER]
            assert same(compile_program(after).run(x, *sources)[0], net(x))
    assert {"torch.gru_cell", "torch.lstm_cell", "torch.rnn_relu_cell"} <= set(calls(before, inside=True))
    assert calls(after, inside=True)["torch.nn.functional.linear"] == 3
    assert calls(after)["torch.nn.functional.linear"] == 6
    assert not {"torch.gru_cell", "torch.lstm_cell", "torch.rnn_relu_cell"} & set(calls(after))


def test_half_of_a_linear_map_leaves_the_loop():
    class Net(nn.Module):
        def __init__(self, written):
            super().__init__()
            torch.manual_seed(0)
            self.linear, self.written = nn.Linear(5, 3), written

        def forward(self, x):
            h = torch.zeros(2, 3)
            count = 0
            while count < 7 and h.sum() < x.sum() + 5:
                joined = torch.cat([x, h], dim=-1)
                if self.written:
                    joined[0, 0] = 1.0
                h = self.linear(joined).tanh()
                count = count + 1
            return h

    for written in (False, True):
        before, same_calls = check(Net(written))
        assert calls(before) == calls(same_calls)  # it rounds otherwise, so only Inductor gets it
        after = optimised(with_split_maps(before))
        net = Net(written)
        with torch.no_grad():
            for x in INPUTS:
                assert same(compile_program(after).run(x, *net.parameters())[0], net(x), 1e-6)
        linear = "torch.nn.functional.linear"
        assert (calls(after)[linear], calls(after, inside=True)[linear]) == ((1, 1) if written else (2, 1))
        assert calls(after, inside=True)["torch.narrow_copy"] == 0
        assert calls(after)["torch.cat"] == written


def test_equal_calls_are_made_once():
    def f(x):
        y = (x * 2).sum()
        if (x * 2).sum() > 0:
            y = y + (x * 2).sum() + x.mean()
        return y - x.mean()

    before, after = check(f)
    assert calls(before)["torch.Tensor.sum"] == 3 and calls(after)["torch.Tensor.sum"] == 1
    assert calls(after)["torch.Tensor.mean"] == 2  # one is in a branch, and nothing outside sees it


def test_what_nothing_needs_is_left_out():
    def f(x):
        count, unused = 0, x
        while x.abs().sum() > 1:
            x, count, unused = x / 2, count + 1, unused * 3
        if x.sum() > 0:
            x.exp()
        return x

    before, after = check(f)
    assert calls(before)["torch.Tensor.mul"] == calls(before)["torch.Tensor.exp"] == 1
    assert not {"torch.Tensor.mul", "torch.Tensor.exp", "operator.add"} & set(calls(after))


def kept(function, name, inside=True, inputs=INPUTS, grad=False):
    before, after = check(function, *inputs, grad=grad)
    assert calls(before, inside)[name] == calls(after, inside)[name] > 0


def test_what_may_raise_stays_where_it_is():
    def f(x, i):
        y = x
        while y.sum() > 1:
            y = y / 2 + F.embedding(i, x).sum() * 0
        return y

    kept(f, "torch.nn.functional.embedding", inputs=[(X, torch.tensor([1])), (-X, torch.tensor([7]))])
    with pytest.raises(IndexError), torch.no_grad():
        d2s.to_static(f, full_graph=True)(X, torch.tensor([7]))


def test_an_unused_call_that_may_raise_is_made():
    def f(x, i):
        if x.sum() > 0:
            F.embedding(i, x)
        return x * 2

    kept(f, "torch.nn.functional.embedding", inside=False, inputs=[(X, torch.tensor([1])), (-X, torch.tensor([7]))])


def test_memory_that_is_written_is_everyones_own():
    def f(x):
        total = torch.zeros(2, 2)
        while total.sum() < 5:
            fresh = torch.zeros(2, 2)
            fresh.view(-1)[0] += x.abs().sum() + 1
            total = total + fresh
        return total

    kept(f, "torch.zeros")

    def g(x):
        view = x.view(-1)
        while x.sum() < 5:
            view.add_(x.abs().mean() * 0 + 1.0)
        return x

    kept(g, "torch.Tensor.abs")


def test_what_the_caller_gets_is_no_others():
    def f(x):
        return x.relu(), x.relu(), torch.zeros(2), torch.zeros(2)

    kept(f, "torch.zeros", inside=False)
    static = d2s.to_static(f, full_graph=True)
    first, second, *_ = static(X)
    first.add_(1)
    assert same(second, X.relu())

    def g(x):
        found = []
        while x.sum() > 1:
            x = x / 2
            found.append(torch.ones(2))
        return x, found

    kept(g, "torch.ones")


def test_draws_are_made_each_time():
    def f(x):
        while x.sum() > 1:
            x = x / 2 - torch.rand(2, 2) * 0
        return x + torch.rand(2, 2) * 0 + torch.rand(2, 2) * 0

    kept(f, "torch.rand")
    kept(f, "torch.rand", inside=False)


def test_gradients_are_added_up_as_they_were():
    def f(x):
        y = x.clone().requires_grad_(True)
        z = y * 0
        while z.sum() < 4:
            z = z + torch.exp(y).abs() + 1
        return torch.autograd.grad(z.sum(), y)[0]

    kept(f, "torch.exp", grad=True)


def test_state_that_calls_change_is_read_each_time():
    def f(x):
        items = [x]
        first = len(items)
        if x.sum() > 0:
            items.append(x * 2)
        return first, len(items), torch.stack(items).sum()

    kept(f, "torch.stack", inside=False)

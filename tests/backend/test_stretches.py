"""What can't be compiled whole: its parts are, with the answers, writes and gradients of eager."""

import copy

import pytest
import torch
from compare import check_calls, same
from torch import nn

import d2s
from d2s.runtime.backend import compiling


@pytest.fixture(autouse=True)
def from_the_first_call(monkeypatch):
    monkeypatch.setattr(compiling, "_TRIALS", 0)


def parts(function, *calls, **options):
    """The parts that are compiled, once the static function has done for each call what the function does."""
    static = d2s.to_static(copy.deepcopy(function), backend="inductor", full_graph=True, **options)
    check_calls(function, static, calls, 1e-6)
    (program,) = static.forward.programs if isinstance(function, nn.Module) else static.programs
    assert "can't be lowered" in program.not_compiled
    assert (" compiled" in program.not_compiled) == bool(program._run.parts)
    return program._run.parts


def growing(x, n):
    found = []
    for i in range(int(n)):
        x = torch.tanh(x * 1.1 + i) - 0.1
        if x.sum() > 2:
            x = x - x.mean()
        found.append(x[0] * 2 + 1)
    return torch.stack(found), x


def test_the_body_of_a_loop_around_a_list():
    calls = [(torch.randn(3), torch.tensor(n)) for n in (3, 1, 5)]
    (part,) = parts(growing, *calls)
    assert part.reason is None and len(part.inference._graphs) == 1
    static = d2s.to_static(growing, backend="inductor", full_graph=True)
    left, right = (calls[0][0].clone().requires_grad_() for _ in range(2))
    for function, leaf in ((growing, left), (static, right)):
        stacked, x = function(leaf, torch.tensor(3))
        (stacked.square().sum() + x.sum()).backward()
    assert same(left.grad, right.grad, 1e-5)
    (part,) = static.programs[0]._run.parts
    assert part.reason is None and part.training._graphs


def printing(x):
    y = (x * 2 + 1).relu().sum()
    while y < 100:
        y = y * 1.5 + 1
    print("so far")
    x[0] = y
    x.mul_(2).add_(1)
    return x * y - x.sigmoid(), x


def test_stretches_around_what_is_ordered_and_writes_to_an_argument(capsys):
    calls = [(torch.tensor(values),) for values in ([1.0, 2.0], [-3.0, 400.0])]
    before, after = parts(printing, *calls)
    assert before.reason is after.reason is None
    assert capsys.readouterr().out == "so far\n" * 4


def sharing(x):
    print("first")
    y = x * 2 + x.mean() - x.sum()
    z = y[1:]
    print("then")
    z.add_(1)
    return y, z


def test_results_that_share_memory_stay_as_they_are():
    assert parts(sharing, (torch.ones(3),)) == []


def viewing(x):
    print("first")
    y = x[1:]
    z = y * 2 + x.mean() - x.sum()
    print("then")
    y.add_(1)
    return z.sub_(x[1]), y


def test_a_result_that_is_a_view_of_what_a_part_is_given():
    assert len(parts(viewing, (torch.ones(3),), (torch.zeros(3),))) == 1


def leaves(x):
    w = torch.ones(3, requires_grad=True)
    v = (x * 2).requires_grad_()
    loss = (w * x + v * w).square().sum() * 0.5
    print(float(loss) > 1)
    return loss + (v * w).sigmoid().sum() - (w * 0.1).sum()


def test_a_gradient_that_begins_inside():
    static = d2s.to_static(leaves, backend="inductor", full_graph=True)
    for x in (torch.ones(3), torch.zeros(3)):
        want, got = leaves(x), static(x)
        assert same(want.detach(), got.detach(), 1e-6) and want.requires_grad and got.requires_grad
    assert static.programs[0]._run.parts


def trained(x, y):
    w = torch.zeros(2).requires_grad_()
    losses = []
    for _ in range(4):
        loss = ((x @ w - y) ** 2).mean() + 0.01 * w.square().sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.2 * w.grad
            w.grad = None
        losses.append(loss.detach())
    return torch.stack(losses), w.detach()


def test_a_training_loop_inside():
    calls = [(torch.randn(5, 2), torch.randn(5)) for _ in range(2)]
    assert parts(trained, *calls)


def two_names(x, y):
    print("first")
    z = x * 2 + y.relu() - y.sum()
    x.add_(z)
    return z + y


def test_a_write_to_what_two_arguments_are():
    base = torch.ones(3)
    (part,) = parts(two_names, (torch.ones(3), torch.ones(3)))
    assert part.reason is None
    eager, static = base.clone(), base.clone()
    function = d2s.to_static(two_names, backend="inductor", full_graph=True)
    assert same(two_names(eager, eager.view(3)), function(static, static.view(3))) and same(eager, static)


def short(x):
    print("nothing")
    return x + 1


def failing(x, i):
    print("begun")
    y = x * 2 + x.mean() - x.sum()
    z = y[int(i)] * 3 + y
    return z


def test_few_calls_stay_and_an_exception_names_the_line():
    assert parts(short, (torch.ones(2),)) == []
    static = d2s.to_static(failing, backend="inductor", full_graph=True)
    assert same(static(torch.ones(2), torch.tensor(1)), failing(torch.ones(2), torch.tensor(1)), 1e-6)
    with pytest.raises(IndexError) as raised:
        static(torch.ones(2), torch.tensor(2))
    assert any("z = y[int(i)] * 3 + y" in note for note in raised.value.__notes__)


class Layers(nn.Module):
    """Layers, applied until there is enough; each time round is noted."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))

    def forward(self, x, enough):
        seen = [x.mean()]
        while x.sum() < enough:
            for layer in self.layers:
                x = torch.relu(layer(x) * 0.5) + x + 0.1
            seen.append(x.mean())
        return torch.stack(seen)


def test_a_module_trains():
    calls = [(torch.ones(2, 3), torch.tensor(n)) for n in (20.0, 1.0, 10.0)]
    (part,) = parts(Layers(), *calls)
    assert part.reason is None
    eager, static = Layers(), d2s.to_static(Layers(), backend="inductor", full_graph=True)
    for model in (eager, static):
        model(*calls[0]).sum().backward()
    (part,) = static.forward.programs[0]._run.parts
    assert part.reason is None and part.training._graphs
    want, got = ([one.grad for one in model.parameters()] for model in (eager, static))
    assert same(want, got, 1e-5)

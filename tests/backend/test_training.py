"""Gradients through compiled programs are those of eager: of inputs and parameters, and None where they are None."""

import copy

import pytest
import torch
from adaptive_rnn import AdaptiveRNN
from compare import same
from torch import nn

import d2s
from d2s.runtime.backend import compiling
from d2s.runtime.backend.training import TrainingWay
from d2s.runtime.torch_internals.graphs import HIGHER_ORDER


@pytest.fixture(autouse=True)
def answers(monkeypatch):
    """What graphs answered, from the first call on."""
    found = []
    answer = TrainingWay.answer

    def noting(self, *args):
        found.append(answer(self, *args))
        return found[-1]

    monkeypatch.setattr(compiling, "_TRIALS", 0)
    monkeypatch.setattr(TrainingWay, "answer", noting)
    return found


def results(target, args, parameters=()):
    """The answer of a call, and the gradients of its arguments and of parameters."""
    args = [one.clone().requires_grad_(one.is_floating_point()) for one in args]
    answer = target(*args)
    outputs = [
        one for one in (answer if isinstance(answer, tuple) else (answer,)) if getattr(one, "requires_grad", 0)
    ]
    sources = [one for one in (*args, *parameters) if one.requires_grad]
    weighted = [(one * torch.arange(1.0, 1 + one.numel()).reshape(one.shape)).sum() for one in outputs]
    found = torch.autograd.grad(sum(weighted), sources, allow_unused=True) if outputs else ()
    return answer, found


def agrees(function, *calls):
    static = d2s.to_static(function, full_graph=True, backend="inductor")
    for args in calls:
        want, got = results(function, args), results(static, args)
        assert same(want, got, 1e-5), f"{got} instead of {want}"
    assert static.programs[0].not_compiled is None


def test_the_adaptive_rnn(answers):
    model = AdaptiveRNN(4, 8, 20)
    static = d2s.to_static(copy.deepcopy(model), full_graph=True, backend="inductor")
    for confidence in (0.0, 0.5, 0.999):
        args = torch.randn(3, 4), torch.tensor(confidence)
        want, got = (results(one, args, list(one.parameters())) for one in (model, static))
        assert same(want, got, 1e-5), f"{got} instead of {want}"
    assert len(answers) == 3 and static.forward.programs[0].not_compiled is None


def nested(x, y, n):
    total = torch.zeros(2)
    for i in range(int(n)):
        z = x * (i + 1)
        while z.sum() > 1:
            z = z * y.sigmoid() if z[0] > z[1] else z / 2
        total = total + z.sin()
    return total


def test_nested_loops_that_start_without_a_gradient(answers):
    x, y = torch.tensor([2.0, 3.0]), torch.tensor([0.5, -1.0])
    agrees(nested, *((x, y, torch.tensor(n)) for n in (0, 1, 4)))
    assert len(answers) == 3


def recurrent(w, x, n):
    h = torch.zeros(2)
    for _ in range(int(n)):
        h = torch.tanh(w * h + x)
    return h


def recurrent_by_torch(w, x, n):
    def test(i, h):
        return i < n

    def body(i, h):
        return i + 1, torch.tanh(w * h + x)

    return HIGHER_ORDER["while_loop"](test, body, (torch.zeros((), dtype=torch.int64), torch.zeros(2)))[1]


def test_gradients_that_torch_gets_wrong():
    """Where it does not any more, its derivative may take the place of ours."""
    args = torch.tensor([0.5, 1.5]), torch.tensor([0.3, -0.2]), torch.tensor(4)
    agrees(recurrent, args)
    want, theirs = results(recurrent, args), results(recurrent_by_torch, args)
    assert same(want[0].detach(), theirs[0].detach(), 1e-5)
    assert not torch.allclose(want[1][0], theirs[1][0], atol=0.1)


def written(x, w, n):
    rows = torch.zeros(4, 2)
    for i in range(int(n)):
        rows[i] = x * w
        if x.sum() > 4:
            rows[:, 0].mul_(w[0])
            x = x - rows[i]
    return rows, rows[1:, 0] * 2


def test_writes_through_views():
    x, w = torch.tensor([2.0, 3.0]), torch.tensor([0.5, 1.5])
    agrees(written, *((x * a, w, torch.tensor(n)) for a, n in ((1, 0), (1, 3), (0.5, 4))))


def paths(x, u, v, w):
    y = x * 2
    if x.sum() > 0:
        y = y * u
        while y.sum() > 3:
            y = y - v
    with torch.no_grad():
        z = y * w
    return y, z.detach() + 1, x, w * 1


def path_scores(scores, steps, tags, mask):
    """The score of a path of tags, and of all paths: a chain of sums that a mask leaves parts of out."""
    best = scores[0]
    gold = scores[0, tags[0]]
    for k in range(1, len(scores)):
        if not mask[k]:
            continue
        best = (best.unsqueeze(1) + steps + scores[k]).logsumexp(0)
        gold = gold + steps[tags[k - 1], tags[k]] + scores[k, tags[k]]
    return best.logsumexp(0) - gold


def test_sums_at_indices_in_branches():
    """Inductor loses some of these gradients when it reorders what a branch computes."""
    scores, steps = torch.arange(12.0).reshape(4, 3).sin(), torch.arange(9.0).reshape(3, 3).cos()
    masks = [True, True, True, False], [True, False, True, True], [True, False, False, False]
    agrees(path_scores, *((scores, steps, torch.tensor([0, 1, 2, 1]), torch.tensor(mask)) for mask in masks))


def test_what_nothing_was_computed_from_has_no_gradient():
    w = torch.ones(2)
    agrees(paths, *((torch.ones(2) * a, w * 2, w, w * 3) for a in (-1.0, 0.1, 4.0)))


def turning(x, n):
    z = torch.zeros(2, dtype=torch.complex64)
    factor = torch.complex(torch.tensor(0.5), torch.tensor(0.2))
    for _ in range(int(n)):
        z = z * factor + torch.complex(x, x * 2)
    return z.abs(), z * 2


def test_tensors_that_the_program_holds(answers):
    def function(x):
        y = x * torch.tensor([1.0, 2.0, 3.0])
        if y.sum() > 0:
            y = y.exp() * 2
        return y

    x = torch.tensor([1.0, -2.0, 3.0])
    agrees(function, (x,), (-x,), (x + 1,))
    assert len(answers) == 3


class Cells(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.LSTMCell(3, 3)

    def forward(self, x):
        hidden, state, count = x * 0, x * 0, 0
        while count < 4 and hidden.sum() < 1:
            hidden, state = self.cell(x, (hidden, state))
            count = count + 1
        return state, hidden


def features_and_loss(x):
    features = torch.tanh(x * 2 + 1)
    features = features / (features.norm() + 1)
    if features.sum() > 0:
        return features, ((features * 3).exp() * 2).sum()
    return features, ((features.cos() + 1).log() * 2).sum()


@pytest.mark.parametrize("target", [Cells(), features_and_loss])
def test_gradients_of_one_result_with_regard_to_another(target, answers):
    def observed(function, x):
        first, second = function(x.clone().requires_grad_())
        wanted = torch.autograd.grad(second.sum(), first, retain_graph=True)
        first.retain_grad()
        (second.sum() * 2 + first.sum()).backward()
        return first, second, wanted, first.grad

    static = d2s.to_static(copy.deepcopy(target), full_graph=True, backend="inductor")
    for x in (torch.ones(2, 3), -torch.ones(2, 3)):
        assert same(observed(target, x), observed(static, x), 1e-5)
    assert answers, "no part of it was compiled"


def test_gradients_that_the_program_computes(answers):
    def function(x):
        y = x * 2 + 1
        z = (y * y).sum().exp().log1p() if y.sum() > 0 else (y * 3).sin().sum() * 2
        (found,) = torch.autograd.grad(z, y, create_graph=True)
        found = (found.tanh() * 3 + x).exp()
        return found / (found.sum() + 1)

    static = d2s.to_static(function, full_graph=True, backend="inductor")
    for x in (torch.tensor([0.5, -0.25]), torch.tensor([-0.5, -0.75])):
        assert same(results(function, (x,)), results(static, (x,)), 1e-5)
    assert answers, "no part of it was compiled"


def test_complex_numbers():
    static = d2s.to_static(turning, full_graph=True, backend="inductor")
    x = torch.tensor([1.0, 2.0])
    for n in (0, 3):
        found = []
        for target in (turning, static):
            leaf = x.clone().requires_grad_()
            size, z = target(leaf, torch.tensor(n))
            total = size.sum() + z.real.sum()
            found.append((size.detach(), z.detach(), *torch.autograd.grad(total, leaf)) if n else (size, z))
        assert same(found[0], found[1], 1e-5)
    assert static.programs[0].not_compiled is None


def test_gradients_of_gradients():
    def f(x):
        while x.sum() < 3:
            x = x * x + 0.5
        return x.sin().sum()

    found = []
    for target in (f, d2s.to_static(f, full_graph=True, backend="inductor")):
        x = torch.tensor([0.5, 1.0], requires_grad=True)
        (first,) = torch.autograd.grad(target(x), x, create_graph=True)
        found.append((first.detach(), torch.autograd.grad(first.sum(), x)[0]))
    assert same(found[0], found[1], 1e-5)


def test_training_learns_the_same():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), AdaptiveRNN(8, 8, 5))
    static = copy.deepcopy(model)
    d2s.to_static(static, full_graph=True, backend="inductor")
    data = [torch.randn(6, 3) for _ in range(4)]
    for one in (model, static):
        optimizer = torch.optim.AdamW(one.parameters(), 0.01)
        head = nn.Sequential(*list(one)[:2])
        for x in data:
            optimizer.zero_grad()
            one[2](head(x), torch.tensor(0.8))[0].square().mean().backward()
            optimizer.step()
    assert all(
        same(*pair, 1e-4) for pair in zip(static.state_dict().values(), model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("draw", [torch.rand_like, nn.functional.dropout])
def test_random_draws_run_as_they_are(draw):
    def f(x):
        if x.sum() > 0:
            x = x * draw(x)
        return x

    static = d2s.to_static(f, backend="inductor")
    found = []
    for target in (f, static):
        torch.manual_seed(0)
        found.append(results(target, [torch.ones(4)]))
    assert same(*found) and "random" in static.programs[0].not_compiled


def of_unknown_size(x):
    kept = x[x > 0]
    if kept.numel() > 1:
        return kept.std(), kept.shape[0]
    return x.sum() * 2, 0


@pytest.mark.parametrize("trials", [0, 6])
def test_a_derivative_that_cannot_be_traced(trials, monkeypatch, tmp_path):
    monkeypatch.setenv("D2S_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(compiling, "_TRIALS", trials)
    static = d2s.to_static(of_unknown_size, full_graph=True, backend="inductor")
    for values in ([1.0, -2.0, 3.0], [-1.0, -2.0, 3.0], [4.0, 2.0, 3.0]):
        left, right = (torch.tensor(values, requires_grad=True) for _ in range(2))
        of_unknown_size(left)[0].backward()
        static(right)[0].backward()
        assert same(left.grad, right.grad, 1e-6)
    assert "derivative" in static.programs[0].not_compiled


class Counting(nn.Module):
    """A layer normalised by statistics of the batches so far, and a sum of all that it was given."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.total = torch.zeros(3)

    def forward(self, x):
        y = self.norm(x)
        if x.sum() > 0:
            y = y * 2
        self.total = self.total + x.sum(0)
        return (y * x).sum() + self.total.sum()


def test_state_that_is_written_and_a_history_over_calls(answers):
    torch.manual_seed(0)
    eager = Counting()
    static = d2s.to_static(copy.deepcopy(eager), full_graph=True, backend="inductor")
    for scale in (1.0, -2.0, 3.0):
        leaves = [
            (torch.randn(4, 3, generator=torch.Generator().manual_seed(1)) * scale).requires_grad_() for _ in "12"
        ]
        for model, leaf in zip((eager, static), leaves, strict=True):
            model(leaf).backward()
        assert same(leaves[0].grad, leaves[1].grad, 1e-5)
        assert same(dict(eager.state_dict()), dict(static.state_dict()), 1e-6)
    assert None not in answers


def test_an_input_that_is_modified_before_the_backward():
    static = d2s.to_static(lambda x, y: (x * y).sum() if y.sum() > 0 else x.sum(), backend="inductor")
    x, y = torch.ones(3, requires_grad=True), torch.ones(3)
    loss = static(x, y)
    y.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()

"""Programs as exported ones: saved, loaded and run they answer as eager does, on every branch and for free sizes."""

import pytest
import torch
from adaptive_rnn import AdaptiveRNN
from compare import same
from exported import as_tensors
from greedy_decode import decoder
from torch import nn

import d2s
from d2s.errors import D2SError


def reloaded(target, input_spec, path):
    program = d2s.to_exported(target, input_spec)
    torch.export.save(program, path)
    return torch.export.load(path)


def agrees(target, input_spec, path, *calls):
    """The loaded program, once it has answered as the target does."""
    program = reloaded(target, input_spec, path)
    with torch.no_grad():
        for args in calls:
            theirs, mine = ([one.clone() for one in args] for _ in range(2))
            want, got = target(*theirs), program.module()(*mine)
            assert same(as_tensors(want), got, 1e-6), f"{got} instead of {want}"
            assert same(theirs, mine), f"arguments {mine} instead of {theirs}"
    return program


def test_the_examples(tmp_path):
    model = AdaptiveRNN(4, 8, 20).eval()
    spec = [d2s.InputSpec([None, 4], name="x"), d2s.InputSpec([])]
    calls = [(torch.randn(n, 4), torch.tensor(one)) for n, one in ((2, 0.1), (5, 0.9), (3, 0.0))]
    program = agrees(model, spec, tmp_path / "rnn.pt2", *calls)
    assert program.graph_signature.user_inputs == ("x", "confidence")
    assert program.state_dict.keys() == model.state_dict().keys()
    hidden = [(torch.randn(1, 16, generator=torch.Generator().manual_seed(seed)),) for seed in (1, 3, 5)]
    agrees(decoder().eval(), hidden[0], tmp_path / "decoder.pt2", *hidden)


def changed(x, i):
    x[i] += 1
    if x.sum() > 5:
        return {"large": x * 2, "twice": (x.sum(), float(x[0]))}
    return {"large": x, "twice": (x.min(), 2.5)}


def test_written_arguments_and_trees(tmp_path):
    x = torch.ones(3)
    program = reloaded(changed, [x, torch.tensor(0)], tmp_path / "changed.pt2")
    for values, i in ((1.0, 0), (4.0, 2)):
        theirs, mine = x * values, x * values
        want, got = changed(theirs, torch.tensor(i)), program.module()(mine, torch.tensor(i))
        assert same(as_tensors(list(want.values())), list(got.values())) and torch.equal(theirs, mine)
    with pytest.raises(RuntimeError, match="index out of range"):
        program.module()(x, torch.tensor(3))


class Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x):
        """`x` of shape [batch, 3] to the same shape."""
        if x.sum() < 0:
            raise ValueError("negative")
        self.seen += 1
        return self.norm(x)


def test_buffers_change_and_exceptions_are_raised(tmp_path):
    model = Normalised()
    program = reloaded(model, [torch.ones(4, 3)], tmp_path / "norm.pt2").module()
    x = torch.randn(4, 3).abs()
    with torch.no_grad():
        assert same(model(x), program(x), 1e-6)
    assert same(dict(program.named_buffers())["norm.running_mean"], model.norm.running_mean, 1e-6)
    assert program.seen == model.seen == 1
    with pytest.raises(RuntimeError, match="raises an exception"):
        program(-x)


def several_ends(x, *more, scale=2.0):
    """Results that are new, an argument, a view of one and a number in place of a tensor of one."""
    if x.sum() > 3:
        return x, x[0], 4.0
    for i in range(3):
        if x[i] < 0:
            return more[0], x[i] * scale, 0.5
    return x * scale, more[0][1], 1.0


def test_results_made_in_different_ways(tmp_path):
    calls = [torch.tensor(one) for one in ([1.0, 2.0, 3.0], [1.0, -2.0, 3.0], [1.0, 0.5, 0.0])]
    program = reloaded(several_ends, [calls[0], (torch.ones(3),)], tmp_path / "ends.pt2").module()
    for x in calls:
        assert same(as_tensors(several_ends(x, x + 1)), program(x, x + 1))


def tried(x):
    try:
        return torch.linalg.cholesky(x)
    except RuntimeError:
        return x


def refused(x):
    if x.sum() > 0:
        return x, x * 2
    return x


def test_what_cannot_be_exported_is_refused():
    with pytest.raises(D2SError, match="differ in structure"):
        d2s.to_exported(refused, [torch.ones(2)])
    with pytest.raises(D2SError, match="no tensor and no number"):
        d2s.to_exported(lambda x: (x * 2, "text"), [torch.ones(2)])
    with pytest.raises(D2SError, match="no program yet"):
        d2s.to_exported(d2s.to_static(refused))
    with pytest.raises(D2SError, match="cholesky, whose failure is caught"):
        d2s.to_exported(tried, [torch.eye(2)])

"""Training: gradients, random draws, hooks, custom backwards, checkpointing and whole training steps."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from compare import same
from modules import BOTH_WAYS, agree, pair
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

import d2s


class Dropping(nn.Module):
    """Draws of every kind, in a branch, a loop and after."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = self.drop(self.fc(x)) if x.sum() > 0 else functional.dropout(x, 0.2, self.training)
        count = 0
        while y.abs().sum() > 1:
            y = y * torch.rand_like(y)
            count += 1
        return (
            self.fc(y) + torch.randn(4) * torch.bernoulli(torch.full((4,), 0.5)) + torch.randint(0, 9, (4,)) + count
        )


class Second(nn.Module):
    """A gradient inside of the forward, which is differentiated again."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        y = torch.tanh(self.fc(x))
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        if gradient.sum() > 0:
            y = y * gradient
        return y + gradient.norm()


class ThroughBranch(Second):
    """The same, of something that came through a branch and a loop."""

    def forward(self, x):
        y = torch.tanh(self.fc(x)) if x.sum() > 0 else torch.sigmoid(self.fc(x))
        while y.abs().sum() > 2:
            y = y * 0.7
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return y + gradient.norm()


class Double(torch.autograd.Function):
    """Twice the input, with a gradient of thrice."""

    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * ctx.factor * x.sign(), None


class NewStyle(torch.autograd.Function):
    """The form with `setup_context`, and two outputs, one of them not differentiable."""

    @staticmethod
    def forward(x):
        return x.exp(), x.argmax()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output[0])
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, gradient, _):
        (y,) = ctx.saved_tensors
        return gradient * y * 2


class Custom(Second):
    def forward(self, x):
        y = self.fc(x)
        y = Double.apply(y, 3.0) if x.sum() > 0 else Double.apply(self.fc(x * 2), 5.0)
        z, where = NewStyle.apply(y)
        return z + where


class Checkpointed(Second):
    def block(self, x, scale):
        y = functional.dropout(torch.tanh(self.fc(x)), 0.5, self.training)
        return y * scale if y.sum() > 0 else y - scale

    def forward(self, x):
        y = checkpoint(self.block, x, 2.0, use_reentrant=False)
        if x.sum() > 0:
            y = checkpoint(self.fc, y, use_reentrant=False)
        return y


class Hooked(nn.Module):
    """Forward and backward hooks of a submodule, and a hook on a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)
        self.first.register_forward_pre_hook(lambda module, args: (args[0] * 2,))
        self.first.register_forward_hook(lambda module, args, answer: answer * 2 if answer.sum() > 0 else answer)
        self.second.register_full_backward_hook(_scale_gradient)

    def forward(self, x):
        y = self.first(x)
        if y.requires_grad:
            y.register_hook(lambda gradient: gradient * 3)
        return self.second(y) if x.sum() > 0 else y


def _scale_gradient(module, inputs, outputs):
    return tuple(gradient * 2 for gradient in inputs)


class Normalized(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)
        self.rnn = nn.GRU(4, 4, num_layers=2, dropout=0.5, batch_first=True)
        self.attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)

    def forward(self, x):
        y = self.norm(x).unsqueeze(0)
        if x.sum() > 0:
            y, _ = self.rnn(y)
        return self.attention(y)


ALL = [Dropping, Second, ThroughBranch, Custom, Checkpointed, Hooked, Normalized]


@pytest.mark.parametrize("make", ALL, ids=lambda make: make.__name__)
def test_training_and_evaluation(make: Any) -> None:
    static, eager = pair(make)
    agree(static, eager)
    for net in (static, eager):
        net.eval()
    agree(static, eager)
    for net in (static, eager):
        net.train()
    agree(static, eager)
    assert len(static.forward.programs) <= 2


def test_each_call_draws_anew() -> None:
    static, _ = pair(Dropping)
    x = BOTH_WAYS[0]
    assert not torch.equal(static(x), static(x))


@pytest.mark.parametrize("make", [Dropping, Custom, Hooked, Normalized], ids=lambda make: make.__name__)
@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_training_steps_outside(make: Any, kind: Any) -> None:
    static, eager = pair(make)
    results = []
    for net in (static, eager):
        torch.manual_seed(1)
        optimizer = kind(net.parameters(), lr=0.05)
        losses = []
        for epoch in range(4):
            for x in BOTH_WAYS:
                optimizer.zero_grad(set_to_none=epoch % 2 == 0)
                loss = net(x).square().mean()
                loss.backward()
                nn.utils.clip_grad_norm_(net.parameters(), 1.0)
                optimizer.step()
                losses.append(loss.detach())
        results.append((losses, copy.deepcopy(net.state_dict())))
    (losses, state), (want, want_state) = results
    assert same(losses, want)
    assert same(dict(state), dict(want_state))
    assert losses[0] != losses[-1]


def test_a_hook_that_uses_a_value_of_the_call_and_is_removed() -> None:
    def hooked(x, y):
        scale = y.exp() if y.sum() > 0 else y - 1
        z = x * 2
        handle = z.register_hook(lambda gradient: gradient * scale)
        other = x.register_hook(lambda gradient: gradient * 100)
        if not y.requires_grad:
            handle.remove()
        other.remove()
        return z.sum() * 3

    static = d2s.to_static(hooked, full_graph=True)
    for sign in (1.0, -1.0):
        for needed in (True, False):
            gradients = []
            for function in (static, hooked):
                x = torch.ones(3, requires_grad=True)
                y = torch.full((3,), sign).requires_grad_(needed)
                function(x, y).backward()
                gradients.append(x.grad)
            assert same(*gradients)
    assert len(static.programs) == 2


def test_a_function_that_is_handed_back_holds_the_values_of_its_call() -> None:
    def make(x):
        y = x * 2 if x.sum() > 0 else x - 1
        return lambda z, w=y.sum(): z + y * w

    static = d2s.to_static(make, full_graph=True)
    first, second = static(torch.ones(2)), static(-torch.ones(2))
    z = torch.ones(2)
    assert torch.equal(first(z), make(torch.ones(2))(z))
    assert torch.equal(second(z), make(-torch.ones(2))(z))
    assert len(static.programs) == 1


def test_a_function_handed_back_before_its_variable_is_written_is_refused() -> None:
    def make(x):
        y = x * 2
        x.register_hook(lambda gradient: gradient * y)
        y = y + 1
        return y.sum()

    with pytest.raises(d2s.ConversionError, match="written after"):
        d2s.to_static(make, full_graph=True)(torch.ones(2, requires_grad=True))


def test_what_needs_the_graph_of_gradients_itself_is_refused() -> None:
    class Old(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 4)
            self.fc.register_backward_hook(lambda module, inputs, outputs: None)

        def forward(self, x):
            return self.fc(x)

    static, _ = pair(Old)
    with pytest.raises(d2s.ConversionError, match="graph of gradients"):
        static(BOTH_WAYS[0])


def test_a_generator_is_the_one_that_is_there_now() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(3)

        def forward(self, x):
            return x + torch.rand(4, generator=self.generator)

    net = d2s.to_static(Noisy(), full_graph=True)
    x = torch.zeros(4)
    first = net(x)
    assert not torch.equal(first, net(x))
    net.generator = torch.Generator().manual_seed(3)
    assert torch.equal(first, net(x))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def forward(self, x):
        h = self.inner(x)
        return h.relu() if h.mean() > 0 else h * 2


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_module_of_several_processes_reduces_gradients_at_each_step(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        counts = []
        for wrap in (lambda net: net, d2s.to_static, lambda net: d2s.to_static(lambda x: net(x) * 1)):
            seen: list[int] = []

            def hook(state, bucket, seen=seen):  # torch reads its annotations
                seen.append(1)
                done: Any = torch.futures.Future()
                done.set_result(bucket.buffer())
                return done

            parallel: Any = nn.parallel.DistributedDataParallel(Branching())
            parallel.register_comm_hook(None, hook)
            called = wrap(parallel)
            for sign in (1, -1, 1):
                called(torch.full((2, 4), float(sign))).sum().backward()
            counts.append(len(seen))
        assert counts == [3, 3, 3]
    finally:
        torch.distributed.destroy_process_group()

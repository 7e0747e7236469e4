"""Modes switched in a static function and around it, as grad mode and autocast, and torch's transforms around it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compare import same
from modules import agree, pair
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

import d2s
from d2s.runtime.backend import compiling


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Linear(4, 4)


class NoGrad(Two):
    def forward(self, x):
        with torch.no_grad():
            y = self.first(x)
            if x.sum() > 0:
                with torch.enable_grad():
                    y = y + self.second(x)
        return y + self.second(x) * x.sum()


class Decorated(Two):
    @torch.no_grad()
    def target(self, x):
        return self.first(x) if x.sum() > 0 else x

    @torch.enable_grad()
    def forward(self, x):
        return self.second(x) - self.target(x)


class Inference(Two):
    def forward(self, x):
        with torch.inference_mode():
            scale = self.first(x).abs().max() if x.sum() > 0 else x.abs().max()
            with torch.inference_mode(False):
                y = self.second(x)
        return y, scale, scale.is_inference()


class Mixed(Two):
    """The same weight twice under one autocast: cast once, as its gradient shows."""

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = self.first(x)
            if x.sum() > 0:
                y = self.first(y)
            for row in x:
                y = y + self.second(row)
            with torch.autocast("cpu", enabled=False):
                z = self.second(y.float())
            y = self.first(y)
        return self.second(y.float()) + z


class Nested(Two):
    @torch.autocast("cpu", dtype=torch.bfloat16)
    def forward(self, x):
        y = self.first(x)
        with torch.no_grad():
            y = y + self.first(x)
            with torch.autocast("cpu", dtype=torch.float16):
                z = self.second(y)
        return y if x.sum() > 0 else z


@pytest.mark.parametrize("make", [NoGrad, Decorated, Inference, Mixed, Nested], ids=lambda make: make.__name__)
def test_modes_inside(make: Any) -> None:
    agree(*pair(make))


@pytest.mark.parametrize("make", [NoGrad, Decorated, Inference, Mixed, Nested], ids=lambda make: make.__name__)
@pytest.mark.parametrize(
    "mode",
    [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu", dtype=torch.bfloat16)],
    ids=["no_grad", "inference_mode", "autocast"],
)
def test_modes_around(make: Any, mode: Any) -> None:
    static, eager = pair(make)
    agree(static, eager)
    with mode():
        agree(static, eager, ways=1)  # eager may raise the same for both
    agree(static, eager)
    assert len(static.forward.programs) == 2


def test_a_mode_switched_on_one_side_for_good_is_refused() -> None:
    def switched(x):
        if x.sum() > 0:
            torch.set_grad_enabled(False)
        return x * 2

    with pytest.raises(d2s.ConversionError, match="grad mode"):
        d2s.to_static(switched, full_graph=True)(torch.ones(2))
    assert torch.is_grad_enabled()


def test_a_mode_left_switched_is_refused() -> None:
    def switched(x):
        torch.set_grad_enabled(False)
        return x * 2

    with pytest.raises(d2s.ConversionError, match="grad mode"):
        d2s.to_static(switched, full_graph=True)(torch.ones(2))
    assert torch.is_grad_enabled()


def summed_until_large(x):
    total, count = x.sin(), 0
    while count < 3:
        total, count = total * 2 + x, count + 1
    return total if total.shape[0] > 1 else -total


def faked(function):
    with FakeTensorMode() as mode:
        answer = function(mode.from_tensor(torch.ones(3)))
        return isinstance(answer, FakeTensor), answer.shape


@pytest.mark.parametrize("backend", ["torch", "inductor"])
@pytest.mark.parametrize("captured_before", [False, True])
@pytest.mark.parametrize(
    "use",
    [
        lambda function: torch.vmap(function)(torch.arange(6.0).reshape(2, 3)),
        lambda function: torch.func.grad(lambda x: function(x).sum())(torch.ones(3)),
        lambda function: torch.func.jvp(function, (torch.ones(3),), (torch.ones(3),)),
        lambda function: torch.func.hessian(lambda x: (function(x) ** 2).sum())(torch.ones(3)),
        lambda function: make_fx(function)(torch.ones(3))(torch.arange(3.0)),
        lambda function: torch.jit.trace(function, (torch.ones(3),), check_trace=False)(torch.arange(3.0)),
        faked,
    ],
)
def test_inside_of_torchs_transforms_and_modes(use, captured_before, backend):
    static = d2s.to_static(summed_until_large, full_graph=True, backend=backend)
    if captured_before:
        static(torch.ones(3))
    assert same(use(summed_until_large), use(static))
    assert same(static(torch.ones(3)), summed_until_large(torch.ones(3))) and len(static.programs) == 1


@pytest.mark.parametrize("backend", ["torch", "inductor"])
def test_gradients_that_go_forward(backend, monkeypatch):
    monkeypatch.setattr(compiling, "_TRIALS", 0)
    static = d2s.to_static(summed_until_large, full_graph=True, backend=backend)
    x, direction = torch.ones(3), torch.arange(3.0)
    static(x)
    found: list[Any] = []
    for function in (summed_until_large, static):
        with forward_ad.dual_level():
            answer = function(forward_ad.make_dual(x, direction))
            found.append(tuple(forward_ad.unpack_dual(answer)))
    assert same(found[0], found[1]) and found[0][1] is not None

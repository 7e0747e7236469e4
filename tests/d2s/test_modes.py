"""Grad mode, inference mode and autocast, switched inside a static function and around it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from modules import agree, pair
from torch import nn

import d2s


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

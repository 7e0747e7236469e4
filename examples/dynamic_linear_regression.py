"""A model that draws its weights at each call, and gives back its output with the gradient of the input.

The program draws anew at each call, as eager does; `torch.jit.trace` keeps the first draw for ever.
Run: python examples/dynamic_linear_regression.py
"""

from __future__ import annotations

import random
import warnings

import torch
from torch import nn

import d2s


class DynamicLinearRegression(nn.Module):
    """`x * w + b` with `w` and `b` drawn from [0, 1] at each call."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The output, and the gradient of its sum by `x`, which can be differentiated again; both shaped as `x`."""
        w = random.uniform(0.0, 1.0)
        b = random.uniform(0.0, 1.0)
        y = x * x * w + b
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
        return y, gradient


def main() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and warns that it has frozen the draw
        traced = torch.jit.trace(DynamicLinearRegression(), (x,), check_trace=False)
    models = {
        "eager": DynamicLinearRegression(),
        "static": d2s.to_static(DynamicLinearRegression(), full_graph=True),
        "traced": traced,
    }
    print("model   output           gradient         second derivative")
    for name, model in models.items():
        random.seed(0)
        for _ in range(3):
            y, gradient = model(x)
            (second,) = torch.autograd.grad(gradient.sum(), x)
            print(f"{name:7} " + "  ".join(" ".join(f"{v:7.4f}" for v in t.tolist()) for t in (y, gradient, second)))


if __name__ == "__main__":
    main()

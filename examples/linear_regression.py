"""The smallest module: y = x * w + b with two scalar parameters, in eager and as a static program.

Run: python examples/linear_regression.py
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import d2s


class LinearRegression(nn.Module):
    """`x * w + b`, for `x` of any shape."""

    def __init__(self, w: float = 2.0, b: float = -1.0):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))
        self.b = nn.Parameter(torch.tensor(b))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The prediction for each element of `x`."""
        return x * self.w + self.b


def main() -> None:
    dynamic = LinearRegression()
    static = d2s.to_static(LinearRegression(), full_graph=True)
    print("x                      dynamic                static")
    for x in (torch.tensor([0.0, 1.0, 2.0]), torch.tensor([-3.0, 0.5, 10.0])):
        rows = [" ".join(f"{value:6.2f}" for value in row.tolist()) for row in (x, dynamic(x), static(x))]
        print("  ".join(rows))
    forward: Any = static.forward
    print(f"\nprograms captured: {len(forward.programs)}\n\n{forward.programs[0]}")


if __name__ == "__main__":
    main()

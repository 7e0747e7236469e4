"""Trains a small network in eager and as a static program, side by side, and moves the parameters both ways.

Run: python examples/train_mlp.py
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import d2s

STEPS = 100


class MLP(nn.Module):
    """Two linear layers; an input with large elements is scaled down first."""

    def __init__(self, inputs: int = 4, hidden: int = 32, outputs: int = 1):
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, inputs] to [batch, outputs]."""
        largest = x.detach().abs().max()
        if largest > 3:
            x = x * (3 / largest)
        return self.second(torch.relu(self.first(x)))


def data() -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of shape [256, 4], and targets of shape [256, 1]."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 4, generator=generator)
    return x, x[:, :1] * x[:, 1:2] + x[:, 2:3].abs()


def batches(step: int) -> slice:
    """The rows of a step."""
    start = step * 32 % 256
    return slice(start, start + 32)


def train(net: nn.Module, steps: int = STEPS) -> list[float]:
    """The mean squared error of each step."""
    x, target = data()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
    losses = []
    for step in range(steps):
        rows = batches(step)
        optimizer.zero_grad()
        assert all(parameter.grad is None for parameter in net.parameters())
        loss = nn.functional.mse_loss(net(x[rows]), target[rows])
        loss.backward()
        assert all(parameter.grad is not None for parameter in net.parameters())
        optimizer.step()
        losses.append(loss.item())
    return losses


def evaluate(net: nn.Module) -> float:
    """The mean squared error on all of the data."""
    x, target = data()
    net.eval()
    with torch.no_grad():
        error = nn.functional.mse_loss(net(x), target).item()
    net.train()
    return error


def largest_difference(left: nn.Module, right: nn.Module) -> float:
    """Between the parameters of two modules."""
    pairs = zip(left.parameters(), right.parameters(), strict=True)
    return max((one - other).abs().max().item() for one, other in pairs)


def main() -> None:
    torch.manual_seed(0)
    dynamic = MLP()
    static = MLP()
    static.load_state_dict(dynamic.state_dict())
    d2s.to_static(static, full_graph=True)

    losses = train(dynamic), train(static)
    print("step  dynamic loss  static loss")
    for step in (0, 1, 10, STEPS - 1):
        print(f"{step:>4}  {losses[0][step]:<12.6f}  {losses[1][step]:.6f}")
    print(f"\nparameters differ by {largest_difference(dynamic, static):.1g} after {STEPS} steps")
    print(f"error in eval():  dynamic {evaluate(dynamic):.6f}  static {evaluate(static):.6f}")

    fresh = MLP()
    fresh.load_state_dict(static.state_dict())
    print(f"trained static, loaded into a dynamic module: {evaluate(fresh):.6f}")
    train(fresh)
    static.load_state_dict(fresh.state_dict())
    print(f"trained on there, loaded back: {evaluate(fresh):.6f} and {evaluate(static):.6f}")
    forward: Any = static.forward
    print(f"\nprograms captured: {len(forward.programs)}")


if __name__ == "__main__":
    main()

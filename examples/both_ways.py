"""One training run that changes its form on the way: dynamic, static, saved, source code again, and static once more.

The parameters and the state of the optimizer go along, so that the losses are those of a run in eager.

Run: python examples/both_ways.py
"""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path

import torch
from torch import nn

import d2s

STEPS = 10


class Denoiser(nn.Module):
    """Refines its input until it changes little, at most six times."""

    def __init__(self, size: int = 8, hidden: int = 16):
        super().__init__()
        self.step = nn.Sequential(nn.Linear(size, hidden), nn.Tanh(), nn.Linear(hidden, size))
        self.norm = nn.BatchNorm1d(size)
        self.gain = nn.Parameter(torch.ones(size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, size] to the same shape."""
        x = self.norm(x)
        trips = 0
        change = x.abs().max()
        while change > 0.3 and trips < 6:
            following = x - 0.2 * self.step(x)
            change = (following - x).abs().max()
            x = following
            trips = trips + 1
        if trips > 3:
            x = x * self.gain
        return x


def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A noisy input of shape [32, 8], and what is to come out."""
    generator = torch.Generator().manual_seed(number)
    clean = torch.randn(32, 8, generator=generator).sign()
    return clean + 0.5 * torch.randn(32, 8, generator=generator), clean


def new_optimizer(net: nn.Module) -> torch.optim.Optimizer:
    """An optimizer with a state of its own for each parameter."""
    return torch.optim.Adam(net.parameters(), lr=1e-2)


def train(net: nn.Module, optimizer: torch.optim.Optimizer, first: int) -> list[float]:
    """The losses of some steps; `first` is the number of the first batch."""
    net.train()
    losses = []
    for number in range(first, first + STEPS):
        noisy, clean = batch(number)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(noisy), clean)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def evaluate(net: nn.Module) -> float:
    """The loss on a batch that nothing is trained on, in eval mode and without gradients."""
    noisy, clean = batch(-1)
    net.eval()
    with torch.no_grad():
        return nn.functional.mse_loss(net(noisy), clean).item()


def moved(optimizer: torch.optim.Optimizer, net: nn.Module) -> torch.optim.Optimizer:
    """An optimizer of another form of the model, with the state that this one has come to."""
    other = new_optimizer(net)
    other.load_state_dict(optimizer.state_dict())
    return other


def spec() -> list[d2s.InputSpec]:
    """Any number of inputs."""
    return [d2s.InputSpec([None, 8])]


def changing(folder: Path) -> tuple[list[float], list[float], nn.Module]:
    """The losses of a run that changes its form four times, those in eval mode after each part, and the model."""
    torch.manual_seed(0)
    losses: list[float] = []
    evaluations: list[float] = []

    def part(net: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        losses.extend(train(net, optimizer, len(losses)))
        evaluations.append(evaluate(net))

    model = Denoiser()
    optimizer = new_optimizer(model)
    part(model, optimizer)  # dynamic

    static = d2s.to_static(model, input_spec=spec())
    part(static, optimizer)  # static: the same parameters, the same optimizer

    d2s.save(static, folder / "model.d2s", spec())
    loaded = d2s.load(folder / "model.d2s")
    optimizer = moved(optimizer, loaded)
    part(loaded, optimizer)  # a file that needs no source

    d2s.to_dynamic(loaded, folder / "model.py")
    dynamic = runpy.run_path(str(folder / "model.py"))["Denoiser"]()
    dynamic.load_state_dict(torch.load(folder / "model_weights.pt", weights_only=True))
    optimizer = moved(optimizer, dynamic)
    part(dynamic, optimizer)  # ordinary code again, which can be edited

    again = Denoiser()
    again.load_state_dict(dynamic.state_dict())  # the class that it began with
    again = d2s.to_static(again, input_spec=spec())
    part(again, moved(optimizer, again))
    return losses, evaluations, again


def in_eager() -> tuple[list[float], list[float], nn.Module]:
    """The same without any change of form."""
    torch.manual_seed(0)
    model = Denoiser()
    optimizer = new_optimizer(model)
    losses: list[float] = []
    evaluations = []
    for _ in range(5):
        losses += train(model, optimizer, len(losses))
        evaluations.append(evaluate(model))
    return losses, evaluations, model


def main() -> None:
    """Run both, and show the losses after each part."""
    with tempfile.TemporaryDirectory() as folder:
        losses, evaluations, _ = changing(Path(folder))
        source = (Path(folder) / "model.py").read_text()
    wanted, expected, _ = in_eager()
    forms = ("dynamic", "static", "loaded", "source code", "static again")
    print(f"{'':14}{'changing':>20}{'eager':>20}")
    for number, form in enumerate(forms):
        last = (number + 1) * STEPS - 1
        changed = f"{losses[last]:.4f} {evaluations[number]:.4f}"
        print(f"{form:14}{changed:>20}{f'{wanted[last]:.4f} {expected[number]:.4f}':>20}")
    print(f"\nThe source code that it was in between:\n\n{source}")


if __name__ == "__main__":
    main()

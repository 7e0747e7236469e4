"""What is measured: models with their inputs, small and large, to run and to train."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import handwritten
import xla
from adaptive_rnn import AdaptiveRNN
from models.decoding import Beam, Greedy
from models.networks import EarlyExit, Experts
from models.solvers import AdaptiveODE, Bisection, Newton
from models.structures import Suppression, Tree, Viterbi
from train_mlp import MLP


class Layers(nn.Module):
    """Many small layers, one after another: the guards of a call have much to look at."""

    def __init__(self, depth: int = 100, size: int = 32):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(size, size) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, size] to the same shape."""
        for layer in self.layers:
            x = torch.relu(layer(x))
        return x


def identity(x: torch.Tensor) -> torch.Tensor:
    """`x` itself: what is measured is the call."""
    return x


@dataclass(frozen=True)
class Case:
    """A model, and what it is called with.

    Attributes:
        trains: whether a training step makes sense.
        by_hand: the model on torch's `while_loop` and `cond`; None if it has no control flow.
        xla: makes of the model one that TensorFlow's XLA compiles.
    """

    name: str
    make: Callable[[], Any]
    inputs: Callable[[], tuple[Any, ...]]
    trains: bool = True
    by_hand: Callable[..., Any] | None = None
    xla: Callable[[Any], Callable[..., Any]] | None = None


def normal(*shape: int) -> Callable[[], tuple[torch.Tensor]]:
    """Makes one input of a shape, normally distributed."""
    return lambda: (torch.randn(shape),)


def _adaptive_rnn(batch: int, inputs: int, hidden: int) -> Case:
    return Case(
        "adaptive RNN",
        lambda: AdaptiveRNN(inputs, hidden, 100),
        lambda: (torch.randn(batch, inputs), torch.tensor(2.0)),  # never so sure: it takes the most steps
        by_hand=handwritten.adaptive_rnn,
        xla=xla.adaptive_rnn,
    )


def _words(length: int, size: int) -> Callable[[], tuple[torch.Tensor, torch.Tensor]]:
    return lambda: (torch.randn(length, size), torch.tensor(length - 2))


PLAIN = (
    Case("MLP", lambda: MLP(16, 64, 4), normal(32, 16)),
    Case("100 layers", Layers, normal(8, 32)),
)
SMALL = (
    _adaptive_rnn(4, 16, 64),
    Case("greedy decoder", lambda: Greedy(50, 32, 40), normal(1, 32), trains=False, by_hand=handwritten.greedy),
    Case("beam search", lambda: Beam(50, 32, 40, 4), normal(1, 32), trains=False, by_hand=handwritten.beam),
    Case("Viterbi", lambda: Viterbi(16, 8), _words(30, 16), by_hand=handwritten.viterbi),
    Case("Newton", lambda: Newton(16), normal(8, 16), by_hand=handwritten.newton),
    Case("bisection", lambda: Bisection(16), normal(8, 16), by_hand=handwritten.bisection),
    Case("adaptive ODE", lambda: AdaptiveODE(8, 32), normal(4, 8), by_hand=handwritten.adaptive_ode),
    Case("experts", lambda: Experts(32, 64, 8), normal(2, 32), by_hand=handwritten.experts),
    Case("early exit", lambda: EarlyExit(32, 4, 6, 0.3), normal(1, 16, 32), by_hand=handwritten.early_exit),
    Case("suppression", lambda: Suppression(16), normal(50, 16), trains=False, by_hand=handwritten.suppression),
    Case("tree", lambda: Tree(16, 8), normal(16), by_hand=handwritten.tree),
)
LARGE = (
    _adaptive_rnn(32, 64, 256),
    Case("greedy decoder", lambda: Greedy(1000, 256, 40), normal(1, 256), trains=False, by_hand=handwritten.greedy),
    Case("beam search", lambda: Beam(1000, 256, 40, 8), normal(1, 256), trains=False, by_hand=handwritten.beam),
    Case("Viterbi", lambda: Viterbi(64, 64), _words(200, 64), by_hand=handwritten.viterbi),
    Case("Newton", lambda: Newton(256), normal(64, 256), by_hand=handwritten.newton),
    Case("bisection", lambda: Bisection(256), normal(64, 256), by_hand=handwritten.bisection),
    Case("adaptive ODE", lambda: AdaptiveODE(64, 256), normal(64, 64), by_hand=handwritten.adaptive_ode),
    Case("experts", lambda: Experts(256, 512, 16), normal(4, 256), by_hand=handwritten.experts),
    Case("early exit", lambda: EarlyExit(256, 8, 8, 0.3), normal(2, 64, 256), by_hand=handwritten.early_exit),
    Case("suppression", lambda: Suppression(16), normal(1000, 16), trains=False, by_hand=handwritten.suppression),
    Case("tree", lambda: Tree(512, 12), normal(512), by_hand=handwritten.tree),
)
SIZES: dict[str, tuple[Case, ...]] = {"small": PLAIN + SMALL, "large": LARGE}

IDENTITY = Case("identity", lambda: identity, normal(4), trains=False)


def inference(model: Any, inputs: tuple[Any, ...]) -> Any:
    """One call without gradients."""
    with torch.no_grad():
        return model(*inputs)


def training_step(model: Any, inputs: tuple[Any, ...]) -> Any:
    """One call with its backward; gives the answer and the gradients, and throws them away."""
    answer = model(*inputs)
    output = answer[0] if isinstance(answer, tuple) else answer
    output.square().mean().backward()
    gradients = [parameter.grad for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.grad = None
    return answer, gradients

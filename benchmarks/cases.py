"""What is measured: models with their inputs, to run and to train."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

import d2s

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

from adaptive_rnn import AdaptiveRNN
from greedy_decode import decoder
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
    """A model, and what it is called with; `trains` is whether a training step makes sense."""

    name: str
    make: Callable[[], Any]
    inputs: Callable[[], tuple[Any, ...]]
    trains: bool = True


CASES = (
    Case("adaptive RNN", lambda: AdaptiveRNN(16, 64, 100), lambda: (torch.randn(4, 16), torch.tensor(0.999))),
    Case("greedy decoder", decoder, lambda: (torch.randn(1, 16),), trains=False),
    Case("MLP", lambda: MLP(16, 64, 4), lambda: (torch.randn(32, 16),)),
    Case("100 layers", Layers, lambda: (torch.randn(8, 32),)),
)


def _static(target: Any) -> Any:
    return d2s.to_static(target, full_graph=True)


IDENTITY = Case("identity", lambda: identity, lambda: (torch.randn(4),), trains=False)


# How each contender makes a model its own.
CONTENDERS: dict[str, Callable[[Any], Any]] = {
    "eager": lambda target: target,
    "d2s": _static,
    "torch.compile": torch.compile,
    "torch.jit.script": torch.jit.script,
}


def inference(model: Any, inputs: tuple[Any, ...]) -> Any:
    """One call without gradients."""
    with torch.no_grad():
        return model(*inputs)


def training_step(model: Any, inputs: tuple[Any, ...]) -> Any:
    """One call with its backward; the gradients are thrown away."""
    answer = model(*inputs)
    output = answer[0] if isinstance(answer, tuple) else answer
    output.square().mean().backward()
    for parameter in model.parameters():
        parameter.grad = None
    return answer


def instances(case: Case) -> dict[str, Any]:
    """The same model for each contender; an exception for one that can't make it its own."""
    torch.manual_seed(0)
    model = case.make()
    found: dict[str, Any] = {}
    for name, prepare in CONTENDERS.items():
        try:
            found[name] = prepare(copy.deepcopy(model))
        except Exception as error:
            found[name] = error
    return found

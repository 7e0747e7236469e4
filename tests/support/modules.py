"""Compares a static module with an eager one of the same weights: answers, gradients, state."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from compare import detached, outcome, same
from torch import nn

import d2s

BOTH_WAYS = (torch.linspace(-1, 2, 8).reshape(2, 4), torch.linspace(-2, 1, 8).reshape(2, 4))


def pair(make: Callable[[], nn.Module]) -> tuple[Any, Any]:
    """A static module and an eager one of the same weights."""
    torch.manual_seed(0)
    eager = make()
    return d2s.to_static(copy.deepcopy(eager), full_graph=True), eager


def state_of(module: nn.Module) -> dict[str, Any]:
    """What a module holds, but for its hooks and its `forward`."""
    found: dict[str, Any] = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    found = {name: tensor.detach() for name, tensor in found.items()}
    for path, part in module.named_modules():
        public = {name: value for name, value in vars(part).items() if not name.startswith("_") and name != "forward"}
        found |= {f"{path}.{name}": value for name, value in public.items()}
    return found


def step(net: Any, x: torch.Tensor) -> Any:
    """The answer of a call, and the gradients of the input and of all parameters."""
    net.zero_grad()
    x = x.clone().requires_grad_(True)
    answer = outcome(net, x)
    with torch.enable_grad():
        for tensor in answer if isinstance(answer, tuple) else [answer]:
            if isinstance(tensor, torch.Tensor) and tensor.requires_grad and not torch.is_inference_mode_enabled():
                tensor.square().sum().backward(retain_graph=True)
    gradients = {name: parameter.grad for name, parameter in net.named_parameters()}
    return detached(answer), x.grad, gradients


def agree(static: Any, eager: Any, inputs: Iterable[torch.Tensor] = BOTH_WAYS, ways: int = 2) -> None:
    """Answers, gradients, state and the random numbers drawn are eager's after every call.

    `ways`: how many different answers there must be at least.
    """
    seen: list[Any] = []
    for seed, x in enumerate(inputs):
        torch.manual_seed(seed)
        want, drawn = step(eager, x), torch.rand(())
        torch.manual_seed(seed)
        got = step(static, x)
        assert same(want, got), f"{got} instead of {want}"
        assert torch.rand(()) == drawn, "the generators differ"
        assert same(state_of(eager), state_of(static)), f"{state_of(static)} instead of {state_of(eager)}"
        seen += [want] if not any(same(want, other) for other in seen) else []
    assert len(seen) >= ways, "the inputs take too few ways"

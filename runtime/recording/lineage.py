"""Which of the arguments of a call the history of its answer leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from d2s.runtime.torch_internals.modes import without_recording


def start_of(tensor: torch.Tensor) -> Any:
    """Where the history of a tensor starts: the node that made it, or a leaf; None without one."""
    with without_recording():
        return (tensor.grad_fn or id(tensor)) if tensor.requires_grad else None


def sources_of(answer: torch.Tensor, starts: Sequence[Any]) -> list[int]:
    """The places of those among some starts to which the history of an answer leads."""
    with without_recording():
        open_, nodes = [answer.grad_fn], set()
        while open_:
            node = open_.pop()
            if node is not None and node not in nodes:
                nodes.add(node)
                open_ += [following for following, _ in node.next_functions]
        nodes |= {id(node.variable) for node in nodes if hasattr(node, "variable")}
    return [place for place, start in enumerate(starts) if start in nodes]

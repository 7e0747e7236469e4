"""Copies of what a call is given, so that it can be made twice from the same start."""

from __future__ import annotations

import copy
from typing import Any

from d2s.runtime.recording.structures import tensors_in


def copied(*things: Any) -> Any:
    """Copies that share among them what the originals share; a tensor with a history becomes a leaf."""
    memo: dict[int, Any] = {}
    for tensor in tensors_in(list(things)):
        if not tensor.is_leaf:
            memo[id(tensor)] = tensor.detach().clone().requires_grad_(tensor.requires_grad)
    return copy.deepcopy(things, memo)

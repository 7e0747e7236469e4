"""Attributes that users put on tensors: kept by a tensor of the run too, and put on what the program makes."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.ir.sources import attributes_of, class_entry
from d2s.runtime.torch_internals.fakes import is_fake


def is_tag(tensor: torch.Tensor, name: str) -> bool:
    """Whether an attribute of this name is the user's, and none that torch knows."""
    return not hasattr(type(class_entry(type(tensor), name, None)), "__set__")


def put_tags(tensor: Any, tags: dict[str, Any]) -> None:
    """Put attributes on a tensor."""
    attributes_of(tensor).update(tags)


class Tags:
    """The names of the attributes that one run of a function has put on tensors that it made."""

    def __init__(self) -> None:
        self._names: dict[int, tuple[torch.Tensor, dict[str, None]]] = {}

    def note(self, tensor: torch.Tensor, name: str) -> None:
        """An attribute is about to be put on a tensor."""
        if is_fake(tensor):
            self._names.setdefault(id(tensor), (tensor, {}))[1][name] = None

    def of(self, tensor: torch.Tensor) -> dict[str, Any]:
        """What was put on a tensor that the run has made, and is still there."""
        names = self._names[id(tensor)][1] if id(tensor) in self._names else ()
        own = attributes_of(tensor) if names else {}
        return {name: own[name] for name in names if name in own}

    def matter(self, tensor: torch.Tensor, names: set[str]) -> bool:
        """Whether a tensor has attributes of the user's that code with these names can ask for."""
        return bool(self.of(tensor)) or (not is_fake(tensor) and not names.isdisjoint(attributes_of(tensor)))

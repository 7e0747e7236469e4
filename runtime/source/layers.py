"""Finds the layers of `torch.nn` that a program calls by their functions, so that they can be called as modules."""

from __future__ import annotations

from d2s.runtime.standalone.module import Part, StaticModule


class Layers:
    """The layers that some programs of a module use."""

    def __init__(self, module: StaticModule):
        self._module = module

    def constructor(self, part: Part) -> str | None:
        """What makes a layer with the tensors of this part; None if it is no layer that is known."""
        return None

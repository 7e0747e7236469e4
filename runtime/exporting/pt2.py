"""Programs as `torch.export.ExportedProgram`."""

from __future__ import annotations

from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from d2s.runtime.exporting.functional import FunctionalModule


def exported(module: FunctionalModule) -> ExportedProgram:
    """The program of a module, with sizes that it leaves free."""
    arguments = tuple(module.examples[name] for name in module.signature.parameters)
    shapes = torch.export.ShapesCollection()
    for value, shape in zip(module.inputs_for(module.examples), module.shapes, strict=True):
        free = {place: Dim.DYNAMIC for place, size in enumerate(shape) if size is None}
        if free:
            shapes[value] = free
    found: Any = shapes.dynamic_shapes(module, arguments)
    with torch.no_grad():
        return torch.export.export(module, arguments, dynamic_shapes=found, strict=False)

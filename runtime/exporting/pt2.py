"""Programs as `torch.export.ExportedProgram`."""

from __future__ import annotations

from inspect import BoundArguments
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from d2s.runtime.exporting.functional import FunctionalModule


def exported(module: FunctionalModule) -> ExportedProgram:
    """The program of a module, with sizes that it leaves free."""
    given = _arguments(module)
    shapes = torch.export.ShapesCollection()
    for value, shape in zip(module.inputs_for(module.examples), module.shapes, strict=True):
        free = {place: Dim.DYNAMIC for place, size in enumerate(shape) if size is None}
        if free:
            shapes[value] = free
    found: Any = shapes.dynamic_shapes(module, given.args, given.kwargs)
    with torch.no_grad():
        return torch.export.export(module, given.args, given.kwargs, dynamic_shapes=found, strict=False)


def _arguments(module: FunctionalModule) -> BoundArguments:
    """What the module is exported for: its examples, but for those that are a default."""
    parameters = module.signature.parameters
    kept = {name: value for name, value in module.examples.items() if value is not parameters[name].default}
    return BoundArguments(module.signature, {name: kept[name] for name in parameters if name in kept})

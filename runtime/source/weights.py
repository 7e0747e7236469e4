"""Makes a module of its source, with the weights of the module of programs that it was written for."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from d2s.runtime.backend.generated import show_source
from d2s.runtime.source.writer import class_name
from d2s.runtime.standalone.module import StaticModule

_numbers = itertools.count(1)


def loaded(module: StaticModule, source: str) -> torch.nn.Module:
    """The module of this source, with copies of the weights, in the modes of training of the other."""
    name = f"{class_name(module)}_{next(_numbers)}"
    namespace: dict[str, Any] = {"__name__": name}
    filename = show_source(source, f"{name}.py")
    exec(compile(source, filename, "exec"), namespace)
    made = namespace[class_name(module)]()
    weights = {name: tensor for name, tensor in named_tensors(module).items() if name in made.state_dict()}
    devices = {tensor.device for tensor in weights.values()}
    if len(devices) == 1:
        made.to(devices.pop())
    made.load_state_dict(weights)
    for name, part in made.named_modules():
        part.training = module.get_submodule(name).training
    return made


def named_tensors(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters and buffers of a module by their paths, those that `state_dict` leaves out included."""
    tensors = dict(module.named_parameters(remove_duplicate=False))
    return {**tensors, **dict(module.named_buffers(remove_duplicate=False))}

"""Modules of other people's graphs as modules of programs, with the same state under the same names."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from d2s.runtime.errors import D2SError
from d2s.runtime.foreign.builder import Builder
from d2s.runtime.foreign.counting import counted
from d2s.runtime.foreign.rotation import rotated
from d2s.runtime.foreign.threading import threaded
from d2s.runtime.foreign.torchscript import read_method
from d2s.runtime.ir.program import Program, PythonType, Role
from d2s.runtime.ir.sources import Argument
from d2s.runtime.passes.verify import verify
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.guards import Guard, HasForm
from d2s.runtime.standalone.module import Part, StaticModule
from d2s.runtime.torch_internals import script_method

_CHECKED = (torch.Tensor, int, float, bool, str)


def from_script(script: torch.jit.ScriptModule) -> StaticModule:
    """The module of the `forward` of a scripted or traced module, which shares its parameters.

    Raises:
        D2SError: something in it has no counterpart in a program.
    """
    kind = script.original_name
    schema = script_method(script, "forward").schema
    positional = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [
        inspect.Parameter(
            one.name, positional, default=one.default_value if one.has_default_value() else inspect.Parameter.empty
        )
        for one in schema.arguments[1:]
    ]
    module = StaticModule("forward", kind, inspect.Signature(parameters))
    _fill(module, script, {})
    program = read_method(Builder(module), script)
    for step in (verify, threaded, counted, rotated, verify):
        program = step(program)
    module.d2s_set_captures([Capture(program, _guards(program), frozenset(), True)])
    return module


def _fill(part: Part, script: Any, memo: dict[int, Part]) -> None:
    """Have a part hold what a scripted module holds."""
    part.training = script.training
    for name, parameter in script.named_parameters(recurse=False):
        part.d2s_put("_parameters", name, parameter)
    for name, buffer in script.named_buffers(recurse=False):
        part.d2s_put("_buffers", name, buffer)
    for name, inner in script._modules.items():
        made = memo.get(id(inner)) or Part(inner.original_name)
        part.d2s_put("_modules", name, made)
        if id(inner) not in memo:
            memo[id(inner)] = made
            _fill(made, inner, memo)


def _guards(program: Program) -> list[Guard]:
    """What the arguments must be: what the graph was made for."""
    found = []
    for one in program.inputs:
        kind = one.value.type.python_type if isinstance(one.value.type, PythonType) else object
        if one.role is Role.ARGUMENT and isinstance(one.source, Argument) and kind in _CHECKED:
            found.append(Guard(one.source, HasForm(kind)))
    return found


def loaded_script(path: Any) -> torch.jit.ScriptModule:
    """The module in a file of TorchScript.

    Raises:
        D2SError: it is none.
    """
    try:
        return torch.jit.load(path, map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise D2SError(f"{path} is no file of TorchScript") from error

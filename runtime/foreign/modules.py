"""Modules of other people's graphs as modules of programs, with the same state under the same names."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from d2s.runtime.errors import D2SError
from d2s.runtime.foreign.builder import Builder
from d2s.runtime.foreign.counting import counted
from d2s.runtime.foreign.exported import part_at, read_exported
from d2s.runtime.foreign.rotation import rotated
from d2s.runtime.foreign.threading import threaded
from d2s.runtime.foreign.torchscript import read_script
from d2s.runtime.ir.program import Call, Program, PythonType, Role, TensorType, walk_ops
from d2s.runtime.ir.sources import Argument, Member
from d2s.runtime.passes.verify import verify
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Guard, HasForm, IsTensor, IsValue
from d2s.runtime.standalone.module import ROOT, Part, StaticModule
from d2s.runtime.torch_internals.script import script_method

_POSITIONAL = inspect.Parameter.POSITIONAL_OR_KEYWORD
_CHECKED = (torch.Tensor, int, float, bool, str)


def from_script(script: Any) -> StaticModule:
    """The module of a scripted or traced module's `forward`, whose parameters it shares, or of such a function.

    Raises:
        D2SError: something in it has no counterpart in a program.
    """
    is_module = isinstance(script, torch.jit.ScriptModule)
    schema = (script_method(script, "forward") if is_module else script).schema
    parameters = [
        inspect.Parameter(
            one.name, _POSITIONAL, default=one.default_value if one.has_default_value() else inspect.Parameter.empty
        )
        for one in schema.arguments[1 if is_module else 0 :]
    ]
    name, kind = ("forward", script.original_name) if is_module else (script.name, script.name)
    module = StaticModule(name, kind, inspect.Signature(parameters))
    if is_module:
        _fill(module, script, {})
    program = read_script(Builder(module), script)
    for step in (verify, threaded, counted, rotated, verify):
        program = step(program)
    module.d2s_set_captures([Capture(program, _guards(program), frozenset(), True)])
    return module


def from_export(exported: Any) -> StaticModule:
    """The module of an exported program of `torch.export`, which shares its parameters.

    Raises:
        D2SError: something in it has no counterpart in a program.
    """
    names = list(exported.module_call_graph[0].signature.forward_arg_names)
    _, kwargs = exported.call_spec.in_spec.unflatten(list(range(exported.call_spec.in_spec.num_leaves)))
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY if name in kwargs else _POSITIONAL) for name in names
    ]
    kinds = _kinds_of_modules(exported)
    module = StaticModule("forward", kinds.get("", "Module"), inspect.Signature(parameters))
    for path, tensor in {**exported.state_dict, **_not_persistent(exported)}.items():
        _, part, name = part_at(module, path)
        part.d2s_put("_parameters" if isinstance(tensor, torch.nn.Parameter) else "_buffers", name, tensor)
        if path not in exported.state_dict:
            part._non_persistent_buffers_set.add(name)
    for path, part in module.named_modules():
        if path and isinstance(part, Part):
            part.d2s_kind = kinds.get(path, part.d2s_kind)
    program = verify(read_exported(Builder(module, _typed), exported, module, names))
    training = _training_of(program)
    guards = _typed_guards(program)
    if training is not None:
        module.train(training)
        guards.append(Guard(Member(Argument(ROOT), "", "training"), IsValue(training)))
    module.d2s_set_captures([Capture(program, guards, frozenset(), True)])
    return module


def _training_of(program: Program) -> bool | None:
    """The mode of training that a graph was exported in; None if nothing in it tells.

    Raises:
        D2SError: some of the modules were in the one mode, some in the other.
    """
    calls = [op for op in walk_ops(program.body) if isinstance(op, Call)]
    told = {call.kwargs["training"] for call in calls if "training" in call.kwargs}
    if len(told) > 1:
        raise D2SError("an exported program with some modules in training and some in eval mode has no counterpart")
    return told.pop() if told else None


def _typed(tensor: torch.Tensor) -> TensorType:
    return TensorType(tensor.dtype, tuple(tensor.shape), tensor.device, tensor.requires_grad)


def _typed_guards(program: Program) -> list[Guard]:
    """What the inputs must be: what the graph was exported for."""
    found = []
    for one in program.inputs:
        kind = one.value.type
        if isinstance(kind, TensorType):
            cls = torch.nn.Parameter if one.role is Role.PARAMETER else torch.Tensor
            found.append(Guard(one.source, IsTensor(cls, kind, None, True)))
        elif isinstance(kind, PythonType):
            found.append(Guard(one.source, HasForm(kind.python_type)))
    return found


def _not_persistent(exported: Any) -> dict[str, torch.Tensor]:
    """The buffers that are not in the state of an exported program."""
    names = exported.graph_signature.non_persistent_buffers
    return {name: exported.constants[name] for name in names}


def _kinds_of_modules(exported: Any) -> dict[str, str]:
    """The names of the classes of the modules that were exported, by path."""
    found: dict[str, str] = {}
    for node in exported.graph.nodes:
        for path, kind in (node.meta.get("nn_module_stack") or {}).values():
            name = kind if isinstance(kind, str) else kind.__name__
            found.setdefault(path, name.rpartition(".")[2])
    return found


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


def loaded_export(path: str) -> Any:
    """The exported program in a file.

    Raises:
        D2SError: it is none.
    """
    try:
        return torch.export.load(path)
    except Exception as error:  # of any class: there is none for a file that is no such program
        raise D2SError(f"{path} is no file of torch.export") from error

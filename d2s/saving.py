"""`save` and `load`: programs, weights and all in one file, which needs neither the code nor the classes again."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import torch

from d2s.api import original, to_static
from d2s.runtime.archive.files import load_module, save_module
from d2s.runtime.backend.execution import Executable
from d2s.runtime.standalone.closing import close
from d2s.runtime.standalone.module import StaticModule
from d2s.standalone import standalone


def save(fn_or_module: Any, path: str | os.PathLike[str], input_spec: Sequence[Any] | None = None) -> None:
    """Write the programs of a function or a module, and its weights, to one `.d2s` file.

    The file appears whole or not at all. It holds the programs as JSON, the weights as safetensors, and the generated
    code for people to read.

    Args:
        fn_or_module: a function or a module, static or not; a program, as `concrete_program` gives it; or a module
            that `load` or an edit gave.
        path: the file; by custom its name ends in `.d2s`.
        input_spec: an entry for each argument: an `InputSpec`, or an example. The programs are captured for these, of
            a module in its modes of training as they are, and all in training and all in eval. Left out, the
            programs that are saved are those captured so far.

    Raises:
        ConversionError: something can't be captured.
        D2SError: there is no program, or something in it can't be saved.
        OSError: the file can't be written.
    """
    module = standalone(fn_or_module) if input_spec is None else captured(fn_or_module, input_spec)
    save_module(module, path, {"d2s": version("d2s"), "torch": torch.__version__})


def load(path: str | os.PathLike[str]) -> StaticModule:
    """The module of a `.d2s` file. Nothing in the file is executed.

    It runs the saved programs, trains further, and has the original names in its `state_dict`.

    Raises:
        LoadError: the file is damaged, or no such archive.
        OSError: the file can't be read.
    """
    return load_module(path)


def captured(target: Any, input_spec: Sequence[Any]) -> StaticModule:
    """The module of programs for these inputs, in each mode of training, the first as the target is.

    Raises:
        ConversionError: something can't be captured.
    """
    if not isinstance(target, torch.nn.Module):
        return close([program_of(target, input_spec)])
    executables = []
    for modes in _modes_of_training(target):
        with _in_modes(modes):
            executables.append(program_of(target, input_spec))
    return close(executables)


def program_of(target: Any, input_spec: Sequence[Any]) -> Executable:
    """The program of a function, or of a module in the modes that it is in, for these inputs.

    Raises:
        ConversionError: it can't be captured.
    """
    function = target.forward if isinstance(target, torch.nn.Module) else target
    static = to_static(original(function), input_spec=list(input_spec), full_graph=True)
    executable: Executable = static.concrete_program()
    return executable


def _modes_of_training(module: torch.nn.Module) -> list[dict[torch.nn.Module, bool]]:
    """The modes of a module and those in it: as they are, all in eval, all in training; each once."""
    parts = list(module.modules())
    known = [{part: part.training for part in parts}, dict.fromkeys(parts, False), dict.fromkeys(parts, True)]
    return [modes for number, modes in enumerate(known) if modes not in known[:number]]


@contextmanager
def _in_modes(modes: dict[torch.nn.Module, bool]) -> Iterator[None]:
    before = {module: module.training for module in modes}
    try:
        for module, training in modes.items():
            module.training = training
        yield
    finally:
        for module, training in before.items():
            module.training = training

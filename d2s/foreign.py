"""`from_torchscript` and `from_exported`: other people's static graphs as programs."""

from __future__ import annotations

import os
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.runtime.foreign.modules import from_export, from_script, loaded_export, loaded_script
from d2s.runtime.standalone.module import StaticModule


def from_torchscript(module_or_path: Any) -> StaticModule:
    """A traced or scripted module, or function, of TorchScript as a module of one program, with its parameters.

    The program is for any shapes, as the graph is.

    `to_dynamic` makes an ordinary module of it: this rescues a `.pt` file whose source is lost.

    Args:
        module_or_path: what `torch.jit.script`, `torch.jit.trace` or `torch.jit.load` gave, or the path of a file.

    Raises:
        D2SError: it is no such module, or something in its graph has no counterpart in a program.
        OSError: the file can't be read.
    """
    if isinstance(module_or_path, str | os.PathLike):
        with open(module_or_path, "rb"):  # a clear error where there is no such file
            script = loaded_script(os.fspath(module_or_path))
    else:
        script = module_or_path
    if not isinstance(script, torch.jit.ScriptModule | torch.jit.ScriptFunction):
        raise D2SError(f"{script!r} is no module of TorchScript; give what torch.jit.script or torch.jit.load gave")
    return from_script(script)


def from_exported(exported_or_path: Any) -> StaticModule:
    """A program of `torch.export` as a module of one program, with its parameters.

    Args:
        exported_or_path: what `torch.export.export` or `torch.export.load` gave, or the path of a `.pt2` file.

    Raises:
        D2SError: it is no such program, or something in its graph has no counterpart.
        OSError: the file can't be read.
    """
    exported = exported_or_path
    if isinstance(exported, str | os.PathLike):
        with open(exported, "rb"):  # a clear error where there is no such file
            exported = loaded_export(os.fspath(exported))
    if not isinstance(exported, torch.export.ExportedProgram):
        raise D2SError(f"a {type(exported).__name__} is no exported program; give what torch.export.export gave")
    return from_export(exported)

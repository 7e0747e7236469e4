"""The commands on files of programs: `d2s save`, `d2s export`, `d2s inspect` of an archive, and `d2s rescue`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from d2s.commands import as_it_was, show_text, telling_failures
from d2s.dynamic import to_dynamic, to_source, weights_beside
from d2s.errors import D2SError
from d2s.exporting import to_aoti, to_exported, to_onnx
from d2s.foreign import from_exported, from_torchscript
from d2s.runtime.archive.atomic import whole_file
from d2s.runtime.ir.program import raises
from d2s.runtime.standalone.module import StaticModule
from d2s.saving import captured, load, save
from d2s.targets import parse_inputs


def save_target(target: str, inputs: Sequence[str], path: Path) -> None:
    """Capture a target for these inputs, and write it to an archive.

    Raises:
        D2SError: it can't be captured, or not be saved; there is no such folder.
    """
    _require_folder(path)
    arguments, specs = parse_inputs(inputs)
    with telling_failures(target):
        module = captured(as_it_was(target), _specified(arguments, specs))
        if raises(module.programs[0].program.body):
            module(*arguments)
        save(module, path)


def export_target(target: str, inputs: Sequence[str], kind: str, path: Path) -> None:
    """Capture a target for these inputs, a module in eval mode, and write it for another runtime.

    Raises:
        D2SError: it can't be captured, or not be exported; there is no such folder.
    """
    if kind == "d2s":
        save_target(target, inputs, path)
        return
    _require_folder(path)
    given = _specified(*parse_inputs(inputs))
    with telling_failures(target):
        thing = as_it_was(target)
        if isinstance(thing, torch.nn.Module):
            thing.eval()
        EXPORTERS[kind](thing, path, given)


def _write_exported(thing: Any, path: Path, input_spec: Sequence[Any]) -> None:
    program = to_exported(thing, input_spec)
    with whole_file(path) as file:
        torch.export.save(program, file)


EXPORTERS: dict[str, Callable[..., None]] = {"pt2": _write_exported, "aoti": to_aoti, "onnx": to_onnx}


def _specified(arguments: Sequence[Any], specs: Sequence[Any]) -> list[Any]:
    """An entry for each argument: a specification, or the argument."""
    return [argument if spec is None else spec for argument, spec in zip(arguments, specs, strict=True)]


def show_archive(path: Path) -> None:
    """Print what is in an archive: the module, and each program with what it is for and the function that runs."""
    module = load(path)
    console = Console()
    show_text(console, "module", str(module))
    show_text(console, "state", "\n".join(_state(module)))
    for number, executable in enumerate(module.programs):
        show_text(console, f"program {number}", str(executable))
        show_text(console, f"guards {number}", executable.guard_code)
        show_text(console, f"function {number}", executable.code)


def _state(module: StaticModule) -> list[str]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return [f"{name}: {str(one.dtype).removeprefix('torch.')}{list(one.shape)}" for name, one in tensors.items()]


def rescue(path: Path, output: Path | None) -> None:
    """Write a file of TorchScript, of `torch.export` or of programs as an ordinary module: its source, and weights.

    Without a file to write to, the source goes to standard output.

    Raises:
        D2SError: the file is none of these, or something in it can't be written as source.
    """
    if path.is_dir():
        raise D2SError(f"{path}: is a folder; name a file")
    module = _opened(path)
    if output is None:
        print(to_source(module), end="")
        return
    _require_folder(output)
    for written in (output, weights_beside(output)):
        if written.exists() and written.samefile(path):
            raise D2SError(f"{written}: is the file to rescue; name another one with -o")
    to_dynamic(module, output)
    print(f"{output}: the source; {weights_beside(output)}: the weights")


def _opened(path: Path) -> Any:
    match path.suffix:
        case ".d2s":
            return load(path)
        case ".pt2":
            return from_exported(path)
    return from_torchscript(path)


def _require_folder(path: Path) -> None:
    if path.is_dir():
        raise D2SError(f"{path}: is a folder; name a file with -o")
    if not path.parent.is_dir():
        raise D2SError(f"{path.parent}: is no folder; make it first")

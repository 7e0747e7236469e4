"""Out of Python: programs for other runtimes."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.export import ExportedProgram

from d2s.errors import D2SError
from d2s.runtime.archive.atomic import whole_file
from d2s.runtime.exporting.functional import FunctionalModule, Require, assert_async
from d2s.runtime.exporting.onnx import fail_at_an_index, model_of
from d2s.runtime.exporting.pt2 import exported
from d2s.runtime.torch_internals.graphs import write_package
from d2s.saving import program_of
from d2s.standalone import standalone


def to_exported(fn_or_module: Any, input_spec: Sequence[Any] | None = None) -> ExportedProgram:
    """A program as a `torch.export.ExportedProgram`, loops and branches in it, for `torch.export.save` and inference.

    Its inputs have the names of the arguments and its state the names in the `state_dict`. Numbers among the results
    are tensors of no dimension. Where the program would raise an exception it raises a RuntimeError.

    Args:
        fn_or_module: a function or a module, static or not; a program, as `concrete_program` gives it; or a module
            that `load` or an edit gave.
        input_spec: an entry for each argument: an `InputSpec`, in which a size that is None stays free, or an
            example. Left out, there must be one program captured.

    Raises:
        ConversionError: it can't be captured.
        D2SError: there is not one program, or what it does can't be exported.
    """
    return exported(_functional(fn_or_module, input_spec))


def to_aoti(fn_or_module: Any, path: str | os.PathLike[str], input_spec: Sequence[Any] | None = None) -> None:
    """Write a program as an AOTInductor package: machine code that runs without d2s and without the model's source.

    From Python `torch._inductor.aoti_load_package(path)` gives the function; from C++ it is
    `torch::inductor::AOTIModelPackageLoader`. The file appears whole or not at all. The arguments and errors are
    those of `to_exported`, and this needs a C++ compiler.

    Raises:
        ConversionError: it can't be captured.
        D2SError: there is not one program, or what it does can't be exported.
        OSError: the file can't be written.
    """
    program = to_exported(fn_or_module, input_spec)
    with TemporaryDirectory() as folder:
        package = Path(folder) / "program.pt2"
        write_package(program, str(package))
        with whole_file(path) as file, package.open("rb") as made:
            shutil.copyfileobj(made, file)


def to_onnx(fn_or_module: Any, path: str | os.PathLike[str], input_spec: Sequence[Any] | None = None) -> None:
    """Write a program as a model of ONNX, with `Loop` and `If` in it.

    Its inputs have the names of the arguments; the outputs are `output`, or `output_0`, `output_1_name` and so on, by
    where they are in the result. Sizes that an `InputSpec` leaves open are axes of any size. Where the program would
    raise an exception, a runtime that checks indices, as onnxruntime does, fails. The file appears whole or not at
    all. The arguments are those of `to_exported`; this needs the packages onnx and onnxscript (`d2s[onnx]`).

    Raises:
        ConversionError: it can't be captured.
        D2SError: there is not one program, what it does can't be exported, or a package is missing.
        OSError: the file can't be written.
    """
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise D2SError(f"to_onnx needs the package {package}: pip install 'd2s[onnx]'")
    model = model_of(_functional(fn_or_module, input_spec, fail_at_an_index))
    with whole_file(path) as file:
        file.write(model.SerializeToString())


def _functional(target: Any, input_spec: Sequence[Any] | None, require: Require = assert_async) -> FunctionalModule:
    return FunctionalModule(standalone(target if input_spec is None else program_of(target, input_spec)), require)

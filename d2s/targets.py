"""What a command line names: `file.py:target`, and inputs such as `f32[batch,16]`."""

from __future__ import annotations

import ast
import importlib.util
import itertools
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.input_spec import InputSpec

_SHORT = {
    "f16": torch.float16,
    "bf16": torch.bfloat16,
    "f32": torch.float32,
    "f64": torch.float64,
    "i8": torch.int8,
    "i16": torch.int16,
    "i32": torch.int32,
    "i64": torch.int64,
    "u8": torch.uint8,
    "c64": torch.complex64,
    "c128": torch.complex128,
    "bool": torch.bool,
}
_INPUT = re.compile(r"(\w+)\[(.*)\]")
# The sizes that stand for names: no two are the same, and none is likely to be a size of the model.
_SIZES = (3, 5, 7, 11, 13, 17, 19, 23, 29, 31)


def require_file(path: Path) -> None:
    """Go on only if there is such a file.

    Raises:
        D2SError: there is none.
    """
    if not path.is_file():
        raise D2SError(f"{path}: no such file")


def load_target(text: str) -> Any:
    """The function, module or other callable that `file.py:name` names; of a class of modules a new one.

    Raises:
        D2SError: there is none.
    """
    path, _, name = text.rpartition(":")
    if not path or not name:
        raise D2SError(
            f"{text}: write it as file.py:target, where target is a function, a module or a class in the file"
        )
    found = _run_file(Path(path))
    for part in name.split("."):
        if not hasattr(found, part):
            raise D2SError(f"{path}: has no {name}")
        found = getattr(found, part)
    if isinstance(found, type) and issubclass(found, torch.nn.Module):
        found = _made(found, name)
    if not callable(found):
        raise D2SError(f"{path}: {name} can't be called")
    return found


def _made(cls: type[torch.nn.Module], name: str) -> torch.nn.Module:
    try:
        return cls()
    except TypeError as error:
        raise D2SError(
            f"{name} is not made without arguments ({error}): name a module that the file makes"
        ) from error


def _run_file(path: Path) -> Any:
    """The module of a file, run as an import would."""
    require_file(path)
    name = path.stem if path.stem not in sys.modules else f"d2s_target_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise D2SError(f"{path}: is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise D2SError(f"{error.filename}:{error.lineno}: {error.msg}") from error
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        raise D2SError(f"{line.filename}:{line.lineno}: {type(error).__name__}: {error}") from error
    return module


def parse_inputs(texts: Sequence[str]) -> tuple[list[Any], list[Any]]:
    """The arguments that inputs stand for, and what an `input_spec` says of them.

    An input is a tensor's dtype and sizes, `f32[batch,16]`, or a value as Python writes it. A name among the sizes
    stands for any size, the same wherever the name is. Floats are drawn, other elements are zero.

    Raises:
        D2SError: it is neither.
    """
    sizes = itertools.cycle(_SIZES)
    named: dict[str, int] = {}
    arguments: list[Any] = []
    specs: list[Any] = []
    for text in texts:
        match = _INPUT.fullmatch(text.strip())
        if match is None:
            arguments.append(_literal(text))
            specs.append(None)
            continue
        dtype, dimensions = _dtype(match[1], text), [part.strip() for part in match[2].split(",") if part.strip()]
        if not all(part.isdecimal() or part.isidentifier() for part in dimensions):
            raise D2SError(f"{text}: a size is a number, or a name for any size")
        for part in dimensions:
            if not part.isdecimal() and part not in named:
                named[part] = next(sizes)
        shape = [int(part) if part.isdecimal() else named[part] for part in dimensions]
        arguments.append(_tensor(shape, dtype))
        specs.append(InputSpec([int(part) if part.isdecimal() else None for part in dimensions], dtype))
    return arguments, specs


def _tensor(shape: list[int], dtype: torch.dtype) -> torch.Tensor:
    if dtype.is_floating_point or dtype.is_complex:
        return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return torch.zeros(shape, dtype=dtype)


def _dtype(name: str, text: str) -> torch.dtype:
    found = _SHORT.get(name) or getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise D2SError(f"{text}: {name} is no dtype; it is one of torch's, or {', '.join(_SHORT)}")
    return found


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        raise D2SError(f"{text}: an input is a tensor, as in f32[batch,16], or a value as Python writes it") from None

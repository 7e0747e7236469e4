"""`to_dynamic` and `to_source`: a static program as an ordinary module of torch, and as its source."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from d2s.runtime.archive.atomic import whole_file
from d2s.runtime.source.weights import loaded
from d2s.runtime.source.writer import source_of
from d2s.standalone import standalone


def to_source(program: Any, comments: bool = False) -> str:
    """A static program as the source of an ordinary `nn.Module`, which imports only torch and the standard library.

    Control flow is plain `if`, `while` and `for`, variables have the names that they had in the code that was
    captured, and layers of `torch.nn` are layers again where the program calls them as such.

    Args:
        program: a program, as `concrete_program` gives it; a static function or module, for all programs that it has
            captured so far; or what `load`, or an edit, gave.
        comments: put the original lines above what they became, where the files that they are from are at hand.

    Raises:
        D2SError: there is no program, or something in it can't be written as source.
    """
    return source_of(standalone(program), comments)


def to_dynamic(program: Any, path: str | os.PathLike[str] | None = None, comments: bool = False) -> torch.nn.Module:
    """A static program as an ordinary `nn.Module` with weights of its own: it runs, trains, and can be static again.

    Args:
        program: as for `to_source`.
        path: also write the source to this file, `model.py`, and the weights beside it, to `model_weights.pt`, for
            `model.load_state_dict(torch.load("model_weights.pt"))`.
        comments: as for `to_source`.

    Raises:
        D2SError: there is no program, or something in it can't be written as source.
        OSError: a file can't be written.
    """
    module = standalone(program)
    source = source_of(module, comments)
    made = loaded(module, source)
    if path is not None:
        with whole_file(weights_beside(Path(path))) as file:
            torch.save(made.state_dict(), file)
        with whole_file(Path(path)) as file:
            file.write(source.encode())
    return made


def weights_beside(path: Path) -> Path:
    """Where the weights of a module are whose source is in this file."""
    return path.with_name(f"{path.stem}_weights.pt")

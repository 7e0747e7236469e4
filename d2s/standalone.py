"""What works on programs that stand on their own: a module of programs made of whatever names them, and edited."""

from __future__ import annotations

import types
from typing import Any

import torch
import torch.fx

from d2s.api import to_static
from d2s.conversion import convert
from d2s.errors import D2SError
from d2s.runtime.backend.execution import Executable
from d2s.runtime.standalone.closing import close
from d2s.runtime.standalone.editor import Editor
from d2s.runtime.standalone.fx import to_fx as _to_fx
from d2s.runtime.standalone.module import StaticModule


def edit(program: Any) -> Editor:
    """An editor of programs, which stay as they are themselves.

    Args:
        program: a program, as `concrete_program` gives it; a static function or module, for all programs that it has
            captured so far; or what `load`, or another edit, gave.

    Raises:
        D2SError: there is no program, or it uses objects that can't be part of a module.
    """
    return Editor(standalone(program), convert)


def to_fx(program: Any) -> torch.fx.GraphModule:
    """A straight-line program as a graph module of `torch.fx`, with the same parameters; `program` as for `edit`.

    Raises:
        D2SError: there are more programs, or it has control flow, changes state or switches modes of torch.
    """
    return _to_fx(standalone(program))


def from_fx(graph_module: torch.fx.GraphModule, *args: Any, **kwargs: Any) -> StaticModule:
    """A graph module of `torch.fx` as a module of one program, captured for these arguments.

    Raises:
        ConversionError: something in it can't be part of a program.
    """
    static = to_static(types.MethodType(type(graph_module).forward, graph_module), full_graph=True)
    return close([static.concrete_program(*args, **kwargs)])


def standalone(program: Any) -> StaticModule:
    """The module of these programs, which needs neither the code nor the objects that they were captured from."""
    if isinstance(program, StaticModule):
        return program
    if isinstance(program, Executable):
        return close([program])
    forward = program.forward if isinstance(program, torch.nn.Module) else program
    executables = getattr(forward, "programs", None)
    if executables is None:
        raise D2SError(f"{program!r} is no program, and nothing that `to_static` made: it has none")
    if not executables:
        raise D2SError(f"{program!r} has no program yet: call it, or `concrete_program`, with an example")
    return close(executables)

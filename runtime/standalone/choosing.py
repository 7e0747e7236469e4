"""Chooses the program of a module that a call in another program is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.program import Input, TensorType, Tree, Value, covers_shape
from d2s.runtime.ir.sources import LOST, Argument, Source, prefixes, read
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Guard, IsValue
from d2s.runtime.standalone.calling import refuse_exits
from d2s.runtime.standalone.module import ROOT, StaticModule


@dataclass(frozen=True)
class Chosen:
    """A program, and what is at the paths of those of its inputs that are arguments."""

    capture: Capture
    operands: dict[Source, Tree]


def program_for(module: StaticModule, args: Tree, kwargs: Tree) -> Chosen:
    """The first program of a module that is for these arguments, which hold values of another program.

    Raises:
        D2SError: there is none, or it can't be part of another.
    """
    try:
        bound = module.d2s_signature.bind(*args, **kwargs)
    except TypeError as error:
        raise D2SError(f"the program can't be called so: {error}") from error
    bound.apply_defaults()
    for executable in module.programs:
        operands = _operands(executable.capture, bound.arguments)
        if operands is not None:
            refuse_exits(executable.program, executable.program.name)
            return Chosen(executable.capture, operands)
    raise D2SError(f"no program of {module._get_name()} is for values of these types")


def _operands(capture: Capture, arguments: dict[str, Any]) -> dict[Source, Tree] | None:
    """What the inputs among the arguments are; None if the program is not for these."""
    found: dict[Source, Tree] = {}
    try:
        for entry in capture.program.inputs:
            if _is_argument(entry.source):
                found[entry.source] = read(entry.source, arguments)
                if not _fits(entry, found[entry.source]):
                    return None
        if all(_holds(guard, arguments) for guard in capture.guards if _is_argument(guard.source)):
            return found
    except LOST:
        pass  # an argument is of another form
    return None


def _is_argument(source: Source) -> bool:
    start = prefixes(source)[0]
    return isinstance(start, Argument) and start.name != ROOT


def _holds(guard: Guard, arguments: dict[str, Any]) -> bool:
    return not isinstance(guard.check, IsValue) or read(guard.source, arguments) == guard.check.value


def _fits(entry: Input, tree: Tree) -> bool:
    """Whether a value, or a constant, is of the type of an input."""
    wanted = entry.value.type
    kind = tree.type if isinstance(tree, Value) else None
    if not isinstance(wanted, TensorType):
        return not isinstance(kind, TensorType)
    return isinstance(kind, TensorType) and kind.dtype == wanted.dtype and covers_shape(wanted.shape, kind.shape)

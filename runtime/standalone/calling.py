"""Makes the ops of one more call in a program: the call is captured on its own, for operands of these types."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError, D2SError
from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.program import (
    Program,
    PythonType,
    Raise,
    Return,
    TensorType,
    Tree,
    Value,
    ValueType,
    map_tree,
    values_in,
)
from d2s.runtime.ir.sources import Argument, Item, Source
from d2s.runtime.operators.calls import converted
from d2s.runtime.recording.capture import Capture, Convert, capture
from d2s.runtime.recording.checks import IsTensor
from d2s.runtime.recording.dynamic import Dynamic
from d2s.runtime.recording.recorder import active_recorder

_NUMBERS = (int, float)
_OPERANDS = "operands"


def captured_call(
    function: Callable[..., Any], args: Tree, kwargs: Tree, modes: Modes, convert: Convert
) -> tuple[Capture, dict[Source, Value]]:
    """The program of `function(*args, **kwargs)`, and which values its inputs are; others are state of the function.

    The values among the arguments, each of which `is_operand`, are taken to be any, and of any size where their type
    says so.

    Raises:
        D2SError: the call fails, or can't be part of a program, or ends in more than one way.
    """
    operands = list(dict.fromkeys(values_in((args, kwargs))))
    examples = tuple(_example(value.type) for value in operands)
    sources: dict[Source, Value] = {Item(Argument(_OPERANDS), n): value for n, value in enumerate(operands)}

    def call(*operands: Any) -> Any:
        given = dict(zip(sources.values(), operands, strict=True))
        positional, named = map_tree(lambda leaf: given[leaf] if isinstance(leaf, Value) else leaf, (args, kwargs))
        recorder = active_recorder()
        assert recorder is not None
        return converted(recorder, function)(*positional, **named)

    signature = inspect.signature(call)
    bound = inspect.BoundArguments(signature, {_OPERANDS: examples})
    name = getattr(function, "__name__", type(function).__name__)
    try:
        with modes.entered():
            captured = capture(call, bound, convert, _dynamic(sources))
    except CaptureError as error:
        raise D2SError(f"{name} can't be called here: {error.reason}; {error.remedy}") from error
    end = captured.program.body.terminator
    if isinstance(end, Raise):
        raise D2SError(f"{name} can't be called here: on values of these types it raises")
    refuse_exits(captured.program, name)
    return captured, sources


def refuse_exits(program: Program, name: str) -> None:
    """Go on only if a program can be part of another.

    Raises:
        D2SError: it ends in more than one way, or changes objects of the user's.
    """
    end = program.body.terminator
    if not isinstance(end, Return):
        raise D2SError(f"{name} can't be called here: it ends in more than one way")
    if end.writes:
        raise D2SError(f"{name} can't be called here: it changes {end.writes[0].source}; return what is new instead")


def is_operand(value: Value) -> bool:
    """Whether a call on a value of its type can be captured."""
    kind = value.type
    return isinstance(kind, TensorType) or (isinstance(kind, PythonType) and kind.python_type in _NUMBERS)


def _example(kind: ValueType) -> Any:
    if isinstance(kind, TensorType):
        leaf = IsTensor(torch.Tensor, kind, None, True).example()
        # What is computed in a program is no leaf.
        return leaf.view_as(leaf) if kind.requires_grad else leaf
    assert isinstance(kind, PythonType)
    return kind.python_type(1)


def _dynamic(sources: dict[Source, Value]) -> Dynamic:
    dimensions = {
        source: frozenset(number for number, size in enumerate(value.type.shape) if size is None)
        for source, value in sources.items()
        if isinstance(value.type, TensorType) and None in value.type.shape
    }
    numbers = frozenset(source for source, value in sources.items() if isinstance(value.type, PythonType))
    return Dynamic(dimensions, numbers)

"""Captures one call of a function as a program."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import refuse_own
from d2s.runtime.exceptions import record_raise
from d2s.runtime.lifting import Reachable
from d2s.runtime.operators import converting_modules
from d2s.runtime.passes.verify import verify
from d2s.runtime.program import Program, Return, Terminator, map_tree
from d2s.runtime.recorder import Recorder
from d2s.runtime.regions import record_region
from d2s.runtime.rules import RULES
from d2s.runtime.sources import Argument, free_variables, read

Convert = Callable[[Any], Any]


def capture(
    function: Callable[..., Any],
    bound: inspect.BoundArguments,
    name: str = "",
    convert: Convert = lambda function: function,
) -> Program:
    """The program of `function(*bound.args, **bound.kwargs)`.

    `convert` gives the rewritten form of a function that it calls.

    Raises:
        CaptureError: something in it can't be part of a program.
    """
    reachable = Reachable()
    for parameter, value in bound.arguments.items():
        reachable.add_root(Argument(parameter), value)
    for source in free_variables(function).values():
        reachable.add_root(source, read(source, bound.arguments))
    recorder = Recorder(reachable, convert, RULES)
    grad = torch.is_grad_enabled()

    def run() -> Terminator:
        with recorder.running(), converting_modules(recorder):
            try:
                answer = function(*bound.args, **bound.kwargs)
            except Exception as error:
                refuse_own(error)
                return record_raise(recorder, error)
            return Return(map_tree(recorder.operand, answer))

    body = record_region(recorder, run)
    recorder.journal.undo(0)
    name = name or getattr(function, "__name__", "program")
    return verify(Program(name, recorder.inputs, body, grad))

"""Runs a function by way of its lowered program."""

import pytest
import torch
from compare import check_calls

import d2s
from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.lowering.graph import graph_of
from d2s.runtime.lowering.pipeline import lowered


def lowered_by_python(function, *args, **options):
    """A function that does what the lowered program of `function` does, run op by op by Python.

    The program is the one that is captured for these arguments.
    """
    return _lowered(
        function, args, options, lambda program, inputs: lambda *given: compile_program(program).run(*given)[0]
    )


def lowered_by_graph(function, *args, **options):
    """The same, run as the graph of torch's operators."""
    return _lowered(function, args, options, lambda program, inputs: graph_of(program, inputs).module)


both = pytest.mark.parametrize("lower", [lowered_by_python, lowered_by_graph], ids=["python", "graph"])


def _lowered(function, args, options, compiled):
    static = d2s.to_static(function, full_graph=True, **options)
    static(*_copies(args))
    captured = static.programs[0]
    made = lowered(captured.program)

    def inputs_of(given):
        named = dict(zip(captured.parameters, given, strict=True))
        return made.tensors([named[str(entry.source)] for entry in captured.program.inputs])

    run = compiled(made.program, inputs_of(args))

    def call(*given):
        inputs = inputs_of(given)
        return made.answer(run(*inputs), inputs)[0]

    return call


def agrees(lower, function, *calls, **options):
    """A function by way of its lowered program, once it has done with all of these arguments what it does itself."""
    run = lower(function, *calls[0], **options)
    check_calls(function, run, calls)
    return run


def _copies(args):
    return [one.clone() if isinstance(one, torch.Tensor) else one for one in args]

"""Runs a function by way of its lowered program."""

import d2s
from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.lowering.pipeline import lowered


def lowered_by_python(function, *args, **options):
    """A function that does what the lowered program of `function` does, run op by op by Python.

    The program is the one that is captured for these arguments.
    """
    static = d2s.to_static(function, full_graph=True, **options)
    static(*args)
    captured = static.programs[0]
    made = lowered(captured.program)
    run = compile_program(made.program).run

    def call(*inputs):
        named = dict(zip(captured.parameters, inputs, strict=True))
        found = [named[str(entry.source)] for entry in captured.program.inputs]
        return made.answer(run(*made.tensors(found))[0])[0]

    return call

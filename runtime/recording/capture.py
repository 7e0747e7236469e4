"""Captures one call of a function as a program."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Block, Program, Terminator
from d2s.runtime.ir.sources import Argument
from d2s.runtime.operators.recording import recording
from d2s.runtime.operators.refusals import refuse_coroutine, refuse_module
from d2s.runtime.passes.verify import verify
from d2s.runtime.recording.before import Before
from d2s.runtime.recording.checks import Guard
from d2s.runtime.recording.closures import note_stores
from d2s.runtime.recording.dynamic import NOTHING, Dynamic
from d2s.runtime.recording.exceptions import refuse_own
from d2s.runtime.recording.guards import program_guards
from d2s.runtime.recording.lifting import Reachable
from d2s.runtime.recording.locations import line_of_raise
from d2s.runtime.recording.outputs import end
from d2s.runtime.recording.recorder import Recorder
from d2s.runtime.recording.regions import RecordAgain, record_region
from d2s.runtime.recording.rules import RULES
from d2s.runtime.recording.snapshot import Snapshot, check_unchanged
from d2s.runtime.recording.surroundings import note_devices

Convert = Callable[[Any], Any]


@dataclass(frozen=True)
class Capture:
    """A program and what it assumes of the arguments.

    `asks_of` are the kinds of questions about tensors that the function asked: for another answer it may be another
    program. `any_grad_mode` is whether it is known to be the same whether the graph of gradients is recorded around
    it or not.
    """

    program: Program
    guards: list[Guard]
    asks_of: frozenset[str] = frozenset()
    any_grad_mode: bool = False


def capture(
    function: Callable[..., Any],
    bound: inspect.BoundArguments,
    convert: Convert = lambda function: function,
    dynamic: Dynamic = NOTHING,
) -> Capture:
    """The program of `function(*bound.args, **bound.kwargs)`, which leaves the arguments as they are.

    `convert` gives the rewritten form of a function that it calls; `dynamic` is what another call may have otherwise.

    Raises:
        CaptureError: something in it can't be part of a program.
    """
    refuse_coroutine(function)
    for value in bound.arguments.values():
        refuse_module(value)
    reachable = Reachable()
    note_devices(reachable)
    for parameter, value in bound.arguments.items():
        reachable.add_root(Argument(parameter), value)
    reachable.add_function(function)
    with closing(Recorder(reachable, convert, RULES, dynamic)) as recorder:
        recorder.take_numbers(bound.arguments)
        return _captured(recorder, function, bound)


def _captured(recorder: Recorder, function: Callable[..., Any], bound: inspect.BoundArguments) -> Capture:
    reachable = recorder.reachable
    snapshot = Snapshot(recorder.journal)
    snapshot.take_surroundings()

    def run() -> Terminator:
        with recording(recorder):
            note_stores(recorder, function)
            try:
                given = inspect.BoundArguments(bound.signature, recorder.arguments(bound.arguments))
                answer = function(*given.args, **given.kwargs)
                recorder.raise_pending()
            except Exception as error:
                refuse_own(error)
                return end(recorder, None, error)
            return end(recorder, answer)

    before = Before()
    try:
        with before.beginning(), reachable.followed_by(snapshot):
            body = copy_context().run(_record, recorder, run)
            before.check(recorder)
    except CaptureError as error:
        error.location = error.location or line_of_raise(error)
        raise
    finally:
        recorder.journal.undo(0)
        changed = snapshot.restore()
    check_unchanged(changed)
    name = getattr(function, "__name__", "program")
    program = verify(Program(name, recorder.inputs, body, recorder.outside))
    guards = program_guards(recorder, program, bound.arguments)
    return Capture(program, guards, frozenset(recorder.asks_of))


def _record(recorder: Recorder, run: Callable[[], Terminator]) -> Block:
    while True:
        try:
            return record_region(recorder, run)
        except RecordAgain as again:
            again.settle()
            recorder.journal.undo(0)
            recorder.rewind(0)

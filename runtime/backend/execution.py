"""A captured program ready to run: guards, inputs, the compiled program, and the writes that it leaves."""

from __future__ import annotations

import linecache
import traceback
import types
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

from d2s.runtime.backend.codegen import CompiledProgram, compile_program
from d2s.runtime.backend.entry import compile_entry
from d2s.runtime.errors import Location as Place
from d2s.runtime.errors import RaisedAfterWrites
from d2s.runtime.ir.program import Write, WriteKind
from d2s.runtime.ir.sources import read
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.dynamic import location_of
from d2s.runtime.recording.journal import MISSING, ContentsLocation, Location

# By the name of the file that a flat function is said to be in, which no other has: equal code is not the same code.
_by_file: weakref.WeakValueDictionary[str, CompiledProgram] = weakref.WeakValueDictionary()


def place_of(code: types.CodeType, line: int) -> Place | None:
    """The line of the user's that a line of a program's flat function comes from; None for any other code."""
    compiled = _by_file.get(code.co_filename)
    return compiled.lines.get(line) if compiled is not None else None


class Executable:
    """One program of a static function, for the arguments that its guards let in.

    `program` is the program, `guards` what it assumes, `code` the flat Python function that runs, `guard_code` the
    one that checks. `inputs_for(*arguments)` are the inputs of the program, None if it is not for these arguments.
    """

    def __init__(self, capture: Capture, parameters: Sequence[str], arguments: Sequence[Any]):
        """`arguments` are those that it was captured for, in the order of the `parameters`."""
        self.program = capture.program
        self.guards = capture.guards
        self._parameters = tuple(parameters)
        self.inputs_for, self.guard_code = compile_entry(
            capture.program, dict(zip(parameters, arguments, strict=True)), capture.guards
        )
        self._compiled = compile_program(capture.program)
        self._run = self._compiled.run
        _by_file[self._run.__code__.co_filename] = self._compiled

    @property
    def code(self) -> str:
        """The flat Python function that the program runs as."""
        return self._compiled.source

    def __str__(self) -> str:
        return str(self.program)

    def run(self, inputs: tuple[Any, ...], arguments: Sequence[Any]) -> Any:
        """Run on the inputs for these arguments; write what the call writes.

        Raises:
            Exception: what the function raises.
        """
        try:
            answer, writes, values = self._run(*inputs)
        except RaisedAfterWrites as raised:
            self._write(raised.writes, raised.values, arguments)
            raise raised.exception from None
        except Exception as error:
            self._add_place(error)
            raise
        if writes:
            self._write(writes, values, arguments)
        return answer

    def _write(self, writes: Sequence[Write], values: Sequence[Any], arguments: Sequence[Any]) -> None:
        named = dict(zip(self._parameters, arguments, strict=True))
        places = [_location(write, named) for write in writes]
        for place, write, value in zip(places, writes, values, strict=True):
            place.write(MISSING if write.kind is WriteKind.UNBIND else value)

    def _add_place(self, error: Exception) -> None:
        """Note the line of the user's code that an exception comes from."""
        for frame, line in traceback.walk_tb(error.__traceback__):
            place = place_of(frame.f_code, line)
            if place is not None:
                text = linecache.getline(place.filename, place.line).strip()
                error.add_note(f'  File "{place.filename}", line {place.line}, in {place.function}\n    {text}')


def _location(write: Write, arguments: Mapping[str, Any]) -> Location:
    """The place that a write goes to."""
    if write.kind is WriteKind.CONTENTS:
        return ContentsLocation(read(write.source, arguments))
    location = location_of(write.source, arguments)
    assert location is not None, f"{write.source} can't be written"
    return location

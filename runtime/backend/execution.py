"""A captured program ready to run: guards, inputs, the compiled program, and the writes that it leaves."""

from __future__ import annotations

import inspect
import linecache
import traceback
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from d2s.runtime.backend.codegen import CompiledProgram, compile_program
from d2s.runtime.backend.entry import compile_entry
from d2s.runtime.backend.inductor import InductorRun
from d2s.runtime.errors import Location as Place
from d2s.runtime.errors import RaisedAfterWrites
from d2s.runtime.ir.program import Write, WriteKind
from d2s.runtime.ir.sources import read
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.dynamic import location_of
from d2s.runtime.recording.places import MISSING, ContentsLocation, Location

BACKENDS = ("torch", "inductor")

CaptureAgain = Callable[[Sequence[Any]], Capture]

# By the name of the file that a flat function is said to be in, which no other has: equal code is not the same code.
_by_file: weakref.WeakValueDictionary[str, CompiledProgram] = weakref.WeakValueDictionary()


def takes_positions(signature: inspect.Signature) -> bool:
    """Whether as many arguments as there are parameters, all by position, need no binding to them."""
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}


def place_of(code: types.CodeType, line: int) -> Place | None:
    """The line of the user's that a line of a program's flat function comes from; None for any other code."""
    compiled = _by_file.get(code.co_filename)
    return compiled.lines.get(line) if compiled is not None else None


class Executable:
    """One program of a static function, for the arguments that its guards let in.

    `program` is the program, `guards` what it assumes, `code` the flat Python function that runs, `guard_code` the
    one that checks. `inputs_for(*arguments)` are the inputs of the program, None if it is not for these arguments.
    """

    def __init__(
        self,
        capture: Capture,
        signature: inspect.Signature,
        arguments: Sequence[Any],
        compiled: CompiledProgram | None = None,
        capture_again: CaptureAgain | None = None,
        backend: str = BACKENDS[0],
    ):
        """`arguments` are those that it was captured for, in the order of the parameters of the `signature`.

        `compiled` is the program as it was compiled already, for other guards; `capture_again` captures the function
        once more, as open as this time, for other arguments or in other modes. `backend` is one of BACKENDS.
        """
        self.capture = capture
        self.program = capture.program
        self.guards = capture.guards
        self.signature = signature
        self.parameters = tuple(signature.parameters)
        self.capture_again = capture_again
        named = dict(zip(self.parameters, arguments, strict=True))
        self.inputs_for, self.guard_code = compile_entry(capture.program, named, capture.guards)
        # Weakly: a program must not keep the user's objects alive.
        self._owners = {name: weakref.ref(thing) for name, thing in named.items() if _is_owner(thing)}
        self._flat: list[CompiledProgram] = []
        self.compiled = self._keep(compiled or compile_program(optimised(capture.program)))
        self.backend = backend
        self._run: Callable[..., Any] = self.compiled.run
        if backend == "inductor":
            self._run = InductorRun(
                capture.program, self.compiled.run, lambda program: self._keep(compile_program(program)).run
            )

    def _keep(self, compiled: CompiledProgram) -> CompiledProgram:
        """A program, of which `place_of` knows as long as this one lives."""
        _by_file[compiled.run.__code__.co_filename] = compiled
        self._flat.append(compiled)
        return compiled

    @property
    def code(self) -> str:
        """The flat Python function that the program runs as."""
        return self.compiled.source

    @property
    def owners(self) -> dict[str, Any]:
        """The arguments that hold state, by parameter; those that are there no more are left out."""
        found = {name: reference() for name, reference in self._owners.items()}
        return {name: thing for name, thing in found.items() if thing is not None}

    @property
    def not_compiled(self) -> str | None:
        """Why the "inductor" backend runs the flat function all the same; None if it does not, or not yet."""
        return self._run.reason if isinstance(self._run, InductorRun) else None

    def __str__(self) -> str:
        return str(self.program)

    def __deepcopy__(self, memo: dict[int, Any]) -> Executable:
        return self  # as functions are

    def run(self, inputs: tuple[Any, ...], arguments: Sequence[Any]) -> Any:
        """Run on the inputs for these arguments; write what the call writes.

        Raises:
            Exception: what the function raises.
        """
        raised: RaisedAfterWrites | None = None
        try:
            answer, writes, values = self._run(*inputs)
        except RaisedAfterWrites as error:
            raised = error
        except Exception as error:
            self._add_place(error)
            raise
        if raised is not None:
            self._write(raised.writes, raised.values, arguments)
            raise raised.exception
        if writes:
            self._write(writes, values, arguments)
        return answer

    def _write(self, writes: Sequence[Write], values: Sequence[Any], arguments: Sequence[Any]) -> None:
        named = dict(zip(self.parameters, arguments, strict=True))
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


def _is_owner(thing: Any) -> bool:
    """Whether an argument is an object that holds state, and no data."""
    return not isinstance(thing, torch.Tensor) and type(thing).__weakrefoffset__ != 0


def _location(write: Write, arguments: Mapping[str, Any]) -> Location:
    """The place that a write goes to."""
    if write.kind is WriteKind.CONTENTS:
        return ContentsLocation(read(write.source, arguments))
    location = location_of(write.source, arguments)
    assert location is not None, f"{write.source} can't be written"
    return location

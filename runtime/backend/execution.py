"""A captured program ready to run: guards, inputs, the compiled program, and the writes that it leaves."""

from __future__ import annotations

import inspect
import linecache
import traceback
import types
import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from d2s.runtime.backend.codegen import CompiledProgram, compile_program
from d2s.runtime.backend.entry import compile_entry, failing
from d2s.runtime.backend.inductor import InductorRun
from d2s.runtime.errors import D2SError, RaisedAfterWrites
from d2s.runtime.errors import Location as Place
from d2s.runtime.ir.program import Write, WriteKind
from d2s.runtime.ir.sources import read
from d2s.runtime.passes.memory import visible_calls
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
        in_eager: Callable[[Sequence[Any]], Any] | None = None,
    ):
        """`arguments` are those that it was captured for, in the order of the parameters of the `signature`.

        `compiled` is the program as it was compiled already, for other guards; `capture_again` captures the function
        once more, as open as this time, for other arguments or in other modes. `backend` is one of BACKENDS.
        `in_eager` is the function itself, which runs in the place of a run that has failed.
        """
        self.capture = capture
        self.program = capture.program
        self.guards = capture.guards
        self.signature = signature
        self.parameters = tuple(signature.parameters)
        self.capture_again = capture_again
        self._in_eager = in_eager
        self.failures = 0  # how many runs were done again in eager
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

    def failing(self, arguments: Sequence[Any]) -> str | None:
        """What keeps it from being for these arguments, in words; None if it is for them."""
        return failing(self.program, dict(zip(self.parameters, arguments, strict=True)), self.guards)

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

        Where an operator fails, the function itself is run, if nothing can be seen of the program yet: it has written
        what it writes before that, and may catch what is raised.

        Raises:
            Exception: what the function raises.
        """
        failure: BaseException | None = None
        raised: RaisedAfterWrites | None = None
        try:
            answer, writes, values = self._run(*inputs)
        except RaisedAfterWrites as error:
            raised = error
        except Exception as error:
            failure = error
        # What is raised from here on is raised outside of our handlers, so that it has no context of ours.
        if failure is not None:
            if self._in_eager is not None and not _is_raised(failure) and self._has_done_nothing(failure, inputs):
                self.failures += 1
                return self._in_eager(arguments)
            self._add_place(failure)
            _clear_frames(failure)
        if raised is not None:
            self._write(raised.writes, raised.values, arguments)
            failure = raised.exception
        if failure is not None:
            try:
                raise failure
            finally:
                del failure, raised  # else the exception and this frame keep each other
        if writes:
            self._write(writes, values, arguments)
        return answer

    def _has_done_nothing(self, failure: BaseException, inputs: Sequence[Any]) -> bool:
        """Whether nothing that the program did before it failed can be seen from outside."""
        seen, loops = self._visible_lines, self.compiled.loops
        if not seen:
            return True
        line = next((line for frame, line in _frames(failure) if frame.f_code is self.compiled.run.__code__), None)
        first = min(seen)
        around = next((start for start, end in loops if start <= first <= end), None)
        if line is None or (around is not None and line >= around):
            return False
        if line == first:
            # Torch refuses to write a tensor of the inference mode when it has written it.
            is_done = any(isinstance(thing, torch.Tensor) and thing.is_inference() for thing in inputs)
            return not is_done and not self.compiled.calls[first].effects.ordered
        return line < first

    @cached_property
    def _visible_lines(self) -> list[int]:
        """The lines of the flat function whose effects can be seen from outside."""
        visible = set(map(id, visible_calls(self.compiled.program)))
        return [line for line, call in self.compiled.calls.items() if id(call) in visible]

    def _write(self, writes: Sequence[Write], values: Sequence[Any], arguments: Sequence[Any]) -> None:
        named = dict(zip(self.parameters, arguments, strict=True))
        places = [_location(write, named) for write in writes]
        for place, write, value in zip(places, writes, values, strict=True):
            place.write(MISSING if write.kind is WriteKind.UNBIND else value)

    def _add_place(self, error: BaseException) -> None:
        """Note the line of the user's code that an exception comes from."""
        for frame, line in traceback.walk_tb(error.__traceback__):
            place = place_of(frame.f_code, line)
            if place is not None:
                text = linecache.getline(place.filename, place.line).strip()
                error.add_note(f'  File "{place.filename}", line {place.line}, in {place.function}\n    {text}')


def _frames(error: BaseException) -> list[tuple[types.FrameType, int]]:
    return list(traceback.walk_tb(error.__traceback__))


def _clear_frames(error: BaseException) -> None:
    """Have the frames of programs let go of the exception, which knows them."""
    for frame, _ in _frames(error):
        if frame.f_code.co_filename in _by_file:
            frame.clear()


def _is_raised(error: BaseException) -> bool:
    """Whether an exception is one that the function itself raises, and so the program by a `raise`."""
    if isinstance(error, D2SError):
        return False
    frame, line = _frames(error)[-1]
    compiled = _by_file.get(frame.f_code.co_filename)
    return compiled is not None and compiled.source.splitlines()[line - 1].lstrip().startswith("raise ")


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

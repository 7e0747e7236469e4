"""The programs of one static function: which one is for a call, and the capture of one that is missing."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from d2s.conversion import convert
from d2s.errors import CaptureError, ConversionError, D2SError, SourceError
from d2s.events import tell
from d2s.input_spec import Specification
from d2s.runtime.backend.execution import BACKENDS, Executable
from d2s.runtime.errors import VerificationError
from d2s.runtime.recording.capture import Capture, capture
from d2s.runtime.recording.dynamic import NOTHING, Dynamic
from d2s.runtime.recording.exceptions import own_failure
from d2s.varying import varying, what_varies

MOST_PROGRAMS = 32
# What was refused is tried again, for the reason may have been in an attribute or a global, but not for ever.
MOST_REFUSALS = 3


@dataclass(frozen=True)
class Options:
    """How a function is made static; see `to_static`."""

    full_graph: bool = False
    input_spec: Any = None
    backend: str = BACKENDS[0]


DEFAULT = Options()
_DEPTH = 8  # as far as arguments are looked into to tell them apart roughly


class Programs:
    """The programs captured so far for a function, one a signature."""

    def __init__(self, function: Any, options: Options):
        self.function = function
        self.options = options
        self.signature = inspect.signature(function, follow_wrapped=False)
        self.parameters = tuple(self.signature.parameters)
        self.executables: list[Executable] = []
        self.specification: Specification | None = None
        if options.input_spec is not None:
            first = int(self.parameters[:1] in (("self",), ("cls",)))
            self.specification = Specification(options.input_spec, self.parameters, first)
        # Their texts only: the exceptions would keep the arguments alive.
        self._refusals: dict[Any, list[tuple[str, str, str, str, str]]] = {}
        # What could not be left open when that was tried.
        self._closed: list[Dynamic] = []

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """The arguments of a call by parameter, defaults included.

        Raises:
            TypeError: they don't fit; with the words of Python, for the function itself is called with them.
        """
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError:
            bound = None
        if bound is None:  # no longer in the handler, so that Python's error is not linked to ours
            if not hasattr(self.function, "__signature__"):
                self.function(*args, **kwargs)
            return self.signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound

    def bind_with_examples(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> inspect.BoundArguments:
        """The same; in place of those that are missing there are examples of what the `input_spec` says."""
        if self.specification is None:
            return self.bind(args, kwargs)
        given = self.signature.bind_partial(*args, **kwargs)
        known = self.specification.examples() | given.arguments
        given.arguments = {name: known[name] for name in self.parameters if name in known}
        return self.bind(given.args, given.kwargs)

    def find(self, arguments: tuple[Any, ...]) -> Executable | None:
        """The program for these arguments; None if there is none yet."""
        fitting = (executable for executable in self.executables if executable.inputs_for(*arguments) is not None)
        return next(fitting, None)

    def capture_unless_refused(self, bound: inspect.BoundArguments) -> tuple[Executable, tuple[Any, ...]]:
        """Capture, but not again and again what was refused before: eager is not to wait for that at every call.

        Raises:
            ConversionError: it can't be captured.
        """
        if self.options.full_graph:
            return self.capture(bound)
        outline = _outline((dict(bound.arguments), torch.is_grad_enabled()))
        refusals = self._refusals.get(outline, [])
        if len(refusals) >= MOST_REFUSALS:
            raise ConversionError(*refusals[-1])
        try:
            return self.capture(bound)
        except ConversionError as error:
            told = error.function, error.location, error.code, error.reason, error.remedy
            self._refusals[outline] = [*refusals, told]
            raise

    def capture(self, bound: inspect.BoundArguments) -> tuple[Executable, tuple[Any, ...]]:
        """Capture for a signature that no program is for yet.

        Raises:
            ConversionError: it can't be captured.
            D2SError: an argument is not as its `input_spec` says.
        """
        try:
            if len(self.executables) >= MOST_PROGRAMS:
                raise CaptureError(
                    "D2S501",
                    f"{MOST_PROGRAMS} programs were captured already, and there is always another value of "
                    f"{what_varies(self.executables)}",
                    "pass what differs from call to call as a tensor, or keep it the same",
                )
            executable = self._capture_as_open_as_can_be(bound)
        except (CaptureError, SourceError) as error:
            raise self._refused(error) from error
        except Exception as error:
            if isinstance(error, D2SError) and not isinstance(error, VerificationError):
                raise  # a mistake of the user's, with a message for them
            raise self._refused(own_failure(error)) from error
        inputs = executable.inputs_for(*bound.arguments.values())
        if inputs is None:
            raise self._refused(own_failure(VerificationError("a program is not for what it was captured for")))
        self.executables.append(executable)
        tell(self.function, executable)
        return executable, inputs

    def _capture_as_open_as_can_be(self, bound: inspect.BoundArguments) -> Executable:
        """What an `input_spec` leaves open has to be; what differs between calls is, if that can be captured."""
        arguments = dict(bound.arguments)
        said = self.specification.dynamic(arguments) if self.specification else NOTHING
        for seen in self._openings(varying(self.executables, arguments)):
            try:
                return self._capture_for(bound, said | seen)
            except CaptureError:
                self._closed.append(seen)
        return self._capture_for(bound, said)

    def _openings(self, seen: Dynamic) -> Iterator[Dynamic]:
        """What to try to leave open: all that differs, then the sizes only."""
        for opening in (seen, Dynamic(seen.dimensions)):
            if opening and opening not in self._closed:
                yield opening

    def _capture_for(self, bound: inspect.BoundArguments, dynamic: Dynamic) -> Executable:
        def capture_for(arguments: Sequence[Any]) -> Capture:
            return capture(convert(self.function), self._bound(arguments), convert, dynamic)

        def in_eager(arguments: Sequence[Any]) -> Any:
            given = self._bound(arguments)
            return self.function(*given.args, **given.kwargs)

        arguments = tuple(bound.arguments.values())
        captured, backend = capture_for(arguments), self.options.backend
        return Executable(captured, self.signature, arguments, None, capture_for, backend, in_eager)

    def _bound(self, arguments: Sequence[Any]) -> inspect.BoundArguments:
        """These arguments, in the order of the parameters."""
        return inspect.BoundArguments(self.signature, dict(zip(self.parameters, arguments, strict=True)))

    def _refused(self, error: CaptureError | SourceError) -> ConversionError:
        code = self.function.__code__
        place = getattr(error, "location", None)
        where = str(place) if place else f"{code.co_filename}:{code.co_firstlineno}"
        name = self.function.__qualname__
        if isinstance(error, SourceError):
            return ConversionError(name, where, "D2S305", str(error))
        return ConversionError(name, where, error.code, error.reason, error.remedy)


def _outline(thing: Any, depth: int = 0) -> Any:
    """What tells arguments apart roughly, as something that can be looked up: types, shapes, numbers and texts."""
    if isinstance(thing, torch.Tensor):
        return type(thing), thing.dtype, thing.layout, None if thing.is_nested else tuple(thing.shape)
    if depth == _DEPTH:  # it may contain itself
        return type(thing)
    if isinstance(thing, list | tuple):
        return type(thing), *(_outline(item, depth + 1) for item in thing)
    if isinstance(thing, dict):
        return dict, *((key, _outline(item, depth + 1)) for key, item in thing.items())
    return (type(thing), thing) if type(thing) in (bool, int, float, str) else type(thing)

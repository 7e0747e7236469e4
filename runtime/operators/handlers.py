"""The operators that note where an exception would be caught or seen by the user's own code."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

from torch.autograd.graph import save_on_cpu, saved_tensors_hooks

from d2s.runtime.errors import CaptureError, Unwinding
from d2s.runtime.ir.modes import SavedHooks
from d2s.runtime.operators.staging import Region, shared_locations
from d2s.runtime.recording.attempts import Handler
from d2s.runtime.recording.exceptions import as_in_eager, of_local
from d2s.runtime.recording.joins import record_joined
from d2s.runtime.recording.locations import is_users_function, package_of, user_location
from d2s.runtime.recording.outside import OF_THREADS
from d2s.runtime.recording.recorder import Recorder, active_recorder

# What a bare `except` catches.
ANYTHING = BaseException


def joined(attempt: Region, carried: tuple[str, ...], scratch: tuple[str, ...] = ()) -> None:
    """`attempt()`, which is a `try`; `carried` and `scratch` are as those of `if_`."""
    recorder = active_recorder()
    if recorder is None:
        attempt()
        return
    places = shared_locations([attempt], carried), shared_locations([attempt], scratch)
    record_joined(recorder, attempt, *places)


@contextmanager
def handling(caught: Callable[[], Any], sees: bool = False) -> Iterator[None]:
    """Around the body of a `try`; `caught()` gives the class of the exceptions that it catches, or several.

    `sees` is whether it has a `finally`.
    """
    recorder, run = _now()
    handler = Handler(caught, sees)
    if recorder is not None:
        recorder.handlers.append(handler)
    try:
        yield
    except Exception as error:
        users = of_local(error) if recorder is None else as_in_eager(error)
        if users is error:
            raise
        raise users from users.__cause__
    except GeneratorExit as error:
        _note_abandoned(error, run)
        raise
    finally:
        if recorder is not None:
            # A generator may end after what was entered later.
            recorder.handlers[:] = [other for other in recorder.handlers if other is not handler]


def handling_groups(caught: Callable[[], Any], sees: bool = False) -> AbstractContextManager[None]:
    """The same for an `except*`, which also takes exceptions out of groups.

    Raises:
        CaptureError: it catches all, and what unwinds a recording is no exception of the user's.
    """
    recorder = active_recorder()
    if recorder is not None and issubclass(Unwinding, caught()):
        reason = "`except* BaseException` also catches what ends a recording"
        raise recorder.pending(CaptureError("D2S307", reason, "catch `Exception`", user_location()))
    return handling(lambda: (caught(), BaseExceptionGroup), sees)


def _now() -> tuple[Recorder | None, object]:
    """The recorder that is at work, and what stands for the run of the function that it records."""
    recorder = active_recorder()
    return recorder, None if recorder is None else recorder.run


def _note_abandoned(error: GeneratorExit, run: object) -> None:
    """A generator of a run ends: if that run is over, by the garbage collector, which eager knows nothing of."""
    if run is not None and _now()[1] is not run:
        error.d2s_abandoned = True  # type: ignore[attr-defined]


def unwinding() -> bool:
    """Whether a `finally` runs because the recording is given up or begins anew, or is long over."""
    error = sys.exc_info()[1]
    return isinstance(error, Unwinding) or getattr(error, "d2s_abandoned", False)


def entered(manager: Any) -> Any:
    """The context manager of a `with`; those of torch let every exception through."""
    if active_recorder() is None:
        return manager
    if isinstance(manager, saved_tensors_hooks) and type(manager) is not save_on_cpu:
        return _hooked(manager)
    if package_of(type(manager)) == "torch":
        return manager
    if isinstance(manager, OF_THREADS):
        reason = f"a {type(manager).__name__} keeps other threads waiting, which no program does"
        raise CaptureError("D2S308", reason, "take it around the static function", user_location())
    if isinstance(manager, warnings.catch_warnings) and manager._record:  # type: ignore[attr-defined]
        reason = "warnings are caught in a list, and the program gives them only when it runs"
        raise CaptureError("D2S308", reason, "catch them around the static function")
    return _Entered(manager)


@contextmanager
def _hooked(manager: saved_tensors_hooks) -> Iterator[None]:
    """Hooks of saved tensors, entered while recording: the program puts them on around the calls made inside."""
    recorder = active_recorder()
    assert recorder is not None
    hooks = manager.pack_hook, manager.unpack_hook
    cells = [cell for hook in hooks for cell in getattr(hook, "__closure__", None) or ()]
    if type(manager) is not saved_tensors_hooks or any(recorder.reachable.find(cell) is None for cell in cells):
        reason = "hooks of saved tensors share variables with the call that puts them on"
        raise CaptureError("D2S308", reason, "put them on around the static function")
    recorder.saved_hooks.append(SavedHooks(*hooks))
    try:
        yield
    finally:
        recorder.saved_hooks.pop()


def may_swallow(manager: Any) -> bool:
    """Whether a context manager may end an exception: one of the user's classes, or `contextlib.suppress`."""
    return isinstance(manager, suppress) or is_users_function(inspect.unwrap(type(manager).__exit__))


class _Entered:
    """A context manager that sees exceptions, entered while recording."""

    def __init__(self, manager: Any):
        self._manager = manager
        self._handling = handling(lambda: ANYTHING if may_swallow(manager) else ())
        self._run = _now()[1]

    def __enter__(self) -> Any:
        entered = self._manager.__enter__()
        self._handling.__enter__()
        return entered

    def __exit__(self, *exception: Any) -> Any:
        self._handling.__exit__(None, None, None)
        if isinstance(exception[1], GeneratorExit):
            _note_abandoned(exception[1], self._run)
            if unwinding():
                return False
        swallowed = self._manager.__exit__(*exception)
        return swallowed and not isinstance(exception[1], Unwinding)

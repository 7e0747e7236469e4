"""The operators that note where an exception would be caught or seen by the user's own code."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from d2s.runtime.errors import Unwinding
from d2s.runtime.recording.recorder import active_recorder

# What a `finally` and a `with` see, and a bare `except` catches.
ANYTHING = BaseException


@contextmanager
def handling(caught: Callable[[], Any]) -> Iterator[None]:
    """Around the body of a `try`; `caught()` gives the class of the exceptions that it catches, or several."""
    recorder = active_recorder()
    if recorder is None:
        yield
        return
    recorder.handlers.append(caught)
    try:
        yield
    finally:
        recorder.handlers.pop()


def unwinding() -> bool:
    """Whether a `finally` runs because the recording is given up or begins anew."""
    return isinstance(sys.exc_info()[1], Unwinding)


def entered(manager: Any) -> Any:
    """The context manager of a `with`; those of torch let every exception through."""
    if active_recorder() is None or type(manager).__module__.partition(".")[0] == "torch":
        return manager
    return _Entered(manager)


class _Entered:
    """A context manager that sees exceptions, entered while recording."""

    def __init__(self, manager: Any):
        self._manager = manager
        self._handling = handling(lambda: ANYTHING)

    def __enter__(self) -> Any:
        entered = self._manager.__enter__()
        self._handling.__enter__()
        return entered

    def __exit__(self, *exception: Any) -> Any:
        self._handling.__exit__(None, None, None)
        swallowed = self._manager.__exit__(*exception)
        return swallowed and not isinstance(exception[1], Unwinding)

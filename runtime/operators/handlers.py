"""The operators that note where an exception would be caught or seen by the user's own code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from d2s.runtime.recording.recorder import active_recorder


@contextmanager
def handling() -> Iterator[None]:
    """Around the body of a `try`."""
    recorder = active_recorder()
    if recorder is None:
        yield
        return
    recorder.handlers += 1
    try:
        yield
    finally:
        recorder.handlers -= 1


def entered(manager: Any) -> Any:
    """The context manager of a `with`; those of torch let every exception through."""
    if active_recorder() is None or type(manager).__module__.partition(".")[0] == "torch":
        return manager
    return _Entered(manager)


class _Entered:
    """A context manager that sees exceptions, entered while recording."""

    def __init__(self, manager: Any):
        self._manager = manager
        self._handling = handling()

    def __enter__(self) -> Any:
        entered = self._manager.__enter__()
        self._handling.__enter__()
        return entered

    def __exit__(self, *exception: Any) -> Any:
        self._handling.__exit__(None, None, None)
        return self._manager.__exit__(*exception)

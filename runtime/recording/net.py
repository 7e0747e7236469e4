"""The net under a recording: it notices code of the user's that runs though it was not rewritten.

What such code does is done once, by the recording, and what it reads is not guarded. So nothing is captured then.
From Python 3.12 on, Python tells of each function that starts; there each code object costs once.
"""

from __future__ import annotations

import logging
import sys
import types
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError, Location
from d2s.runtime.recording.locations import is_of_libraries, is_rewritten

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

# What torch and d2s are made of: their code runs for these, and knows nothing of the user's.
_HELPERS = ("sympy", "mpmath", "networkx", "jinja2", "typing_extensions", "_distutils_hack", "gast", "astor")
_MODULE = "<module>"
# Modules that call handlers and hooks of the process, or run modules when they are imported.
_OCCASIONS = ("<frozen importlib", logging.__file__, warnings.__file__, weakref.__file__)


def is_unseen(code: types.CodeType, variables: dict[str, Any]) -> bool:
    """Whether code with these global variables is the user's, and runs as it is."""
    if is_of_libraries(code) or is_rewritten(code) or code.co_filename.startswith("<") or code.co_name == _MODULE:
        return False
    if str(variables.get("__name__")).partition(".")[0] in _HELPERS:
        return False
    operators = sys.modules.get("d2s.runtime.operators")
    return all(value is not operators for value in variables.values())  # else of a file that `d2s convert` has made


@contextmanager
def noticing(recorder: Recorder) -> Iterator[None]:
    """Meanwhile the recorder is told of code of the user's that runs as it is."""
    if sys.version_info < (3, 12):
        yield
        return
    monitoring = sys.monitoring
    tool = next((number for number in range(6) if monitoring.get_tool(number) is None), None)
    if tool is None:  # every place is taken by debuggers and the like
        yield
        return

    def started(code: types.CodeType, offset: int) -> Any:
        return None if tell(recorder, sys._getframe(1)) else monitoring.DISABLE

    monitoring.use_tool_id(tool, "d2s")
    try:
        monitoring.register_callback(tool, monitoring.events.PY_START, started)
        monitoring.set_events(tool, monitoring.events.PY_START)
        yield
    finally:
        monitoring.set_events(tool, 0)
        monitoring.register_callback(tool, monitoring.events.PY_START, None)
        monitoring.free_tool_id(tool)


@contextmanager
def noticing_call(recorder: Recorder) -> Iterator[None]:
    """The same for one call that may call something of the user's; before 3.12 only those are watched."""
    if sys.version_info >= (3, 12) or sys.getprofile() is not None:
        yield
        return

    def started(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call":
            tell(recorder, frame)

    sys.setprofile(started)
    try:
        yield
    finally:
        sys.setprofile(None)


def tell(recorder: Recorder, frame: types.FrameType) -> bool:
    """Tell the recorder of a function that starts; whether that may matter at another time, if it does not now."""
    code = frame.f_code
    if not is_unseen(code, frame.f_globals):
        return False
    if recorder.is_at_work() and not recorder.runs_as_it_is and not _is_aside(frame):
        place = Location(code.co_filename, code.co_firstlineno)
        reason = f"{code.co_qualname} is called by code that is not rewritten, so that a program would not call it"
        recorder.pending(CaptureError("D2S311", reason, "call it from your own code", place))
    return True


def _is_aside(frame: types.FrameType | None) -> bool:
    """Whether a function is called on the occasion of what runs, such as to log it: not by what is recorded."""
    while frame is not None and not is_rewritten(frame.f_code):
        if frame.f_code.co_filename.startswith(_OCCASIONS):
            return True
        frame = frame.f_back
    return False

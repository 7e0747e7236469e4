"""The net under a recording: it notices code of the user's that runs though it was not rewritten.

What such code does is done once, by the recording, and what it reads is not guarded. So nothing is captured then.
From Python 3.12 on, Python tells of each function that starts; there each code object costs once.
"""

from __future__ import annotations

import linecache
import logging
import sys
import types
import warnings
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError, Location
from d2s.runtime.recording.guards import has_no_rule
from d2s.runtime.recording.locations import is_of_libraries, is_of_ops, is_rewritten
from d2s.runtime.recording.outside import EFFECTS, LOGGING, is_outside

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

# What torch and d2s are made of: their code runs for these, and knows nothing of the user's.
_HELPERS = ("sympy", "mpmath", "networkx", "jinja2", "typing_extensions", "_distutils_hack", "gast", "astor")
_MODULE = "<module>"
# What libraries call for themselves: they warn, log, and keep things by their ids.
_OF_THEMSELVES = frozenset({id, warnings.warn, logging.info})
_OF_LOGGERS = frozenset(vars(logging.Logger)[name].__code__ for name in LOGGING)
# Modules that call handlers and hooks of the process, run modules when they are imported, or look for source.
_OCCASIONS = ("<frozen importlib", linecache.__file__, logging.__file__, warnings.__file__, weakref.__file__)


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
    """The same for one call of code that is not rewritten; what that does to the world is refused before it is done.

    Before 3.12 only during such calls code of the user's is noticed.
    """
    if sys.getprofile() is not None:
        yield
        return

    def started(frame: types.FrameType, event: str, called: Any) -> None:
        if event == "c_call" and not is_of_ops(frame.f_code):
            _refuse_effect(recorder, frame, called)
        elif event == "call" and sys.version_info < (3, 12):
            tell(recorder, frame)
        if event == "call" and frame.f_code in _OF_LOGGERS:
            _refuse_effect(recorder, frame.f_back, logging.info)

    sys.setprofile(started)
    try:
        yield
    finally:
        sys.setprofile(None)


def _refuse_effect(recorder: Recorder, caller: types.FrameType | None, called: Any) -> None:
    """Go on only if a function that code which is not rewritten calls does nothing to the world and asks it nothing.

    Raises:
        CaptureError: it does.
    """
    if not recorder.is_at_work() or recorder.runs_as_it_is or caller is None:
        return
    if _is_among(called, _OF_THEMSELVES) and is_of_libraries(caller.f_code):
        return
    if called is sys._getframe:
        return  # classes of `typing` and the like ask which module makes them
    is_refused = _is_among(called, EFFECTS) or is_outside(called) or is_of_unknown(recorder, called)
    if is_refused and not _is_aside(caller):
        recorder.raise_pending()  # of the user's code that calls it
        reason = f"{caller.f_code.co_qualname}, which is not rewritten, calls {called.__name__}()"
        raise recorder.pending(CaptureError("D2S308", reason, "call it before the static function or after"))


def is_of_unknown(recorder: Recorder, function: Any) -> bool:
    """Whether a built-in method is one of an object that the call found, and that nothing tells the changes of."""
    owner = getattr(function, "__self__", None)
    return has_no_rule(owner, (function.__name__,)) and recorder.reachable.find(owner) is not None


def _is_among(called: Any, functions: Collection[Any]) -> bool:
    return any(called is function for function in functions)  # it may have no hash


def tell(recorder: Recorder, frame: types.FrameType) -> bool:
    """Whether it may matter at another time that a function starts, if it does not now.

    Raises:
        CaptureError: it is one of the user's, and is called by what is recorded. It has done nothing yet.
    """
    code = frame.f_code
    if not is_unseen(code, frame.f_globals):
        return False
    is_recorded = recorder.is_at_work() and not recorder.runs_as_it_is and not recorder.reads.is_asking
    if is_recorded and not _is_aside(frame):
        place = Location(code.co_filename, code.co_firstlineno)
        reason = f"{code.co_qualname} is called by code that is not rewritten, so that a program would not call it"
        raise recorder.pending(CaptureError("D2S311", reason, "call it from your own code", place))
    return True


def _is_aside(frame: types.FrameType | None) -> bool:
    """Whether a function is called on the occasion of what runs, such as to log it: not by what is recorded."""
    while frame is not None and not is_rewritten(frame.f_code):
        if frame.f_code.co_filename.startswith(_OCCASIONS):
            return True
        frame = frame.f_back
    return False

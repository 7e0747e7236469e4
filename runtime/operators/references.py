"""The operator for weak references: only to what lives before the call, and without a function to call.

When Python drops an object that the function makes is not the same in a recording and in a run.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.recorder import active_recorder


def _checked(function: Any, most: int) -> Callable[..., Any]:
    """The form of what makes a reference; with more than `most` arguments it calls a function later."""

    def made(*args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is not None and args:
            is_kept = recorder.reachable.find(getattr(args[0], "__self__", args[0])) is not None
            if not is_kept or kwargs or any(arg is not None for arg in args[most:]):
                reason = "a weak reference tells when an object is dropped, which is another time in a recording"
                raise CaptureError("D2S307", reason, "make it before the static function", user_location())
        return function(*args, **kwargs)

    return made


REPLACEMENTS.update(
    {function: _checked(function, 1) for function in (weakref.ref, weakref.proxy, weakref.WeakMethod)}
)
REPLACEMENTS[weakref.finalize] = _checked(weakref.finalize, 0)

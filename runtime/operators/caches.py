"""Functions and properties that remember their answers: what is remembered must be no stand-in of a recording."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import leaves_of
from d2s.runtime.ir.sources import Setting
from d2s.runtime.operators.writes import note_attribute, note_contents
from d2s.runtime.recording.lifting import LEAVES
from d2s.runtime.recording.locations import is_left_alone, is_users_function, user_location
from d2s.runtime.recording.loops import aside
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import tensors_in
from d2s.runtime.torch_internals.calls import replaced
from d2s.runtime.torch_internals.fakes import is_fake
from d2s.runtime.torch_internals.modes import without_modes

# What a cache may be asked for: it is the same at each call of a program.
_FIXED = (*LEAVES, logging.Logger, type, types.FunctionType, types.ModuleType)
CACHED = type(functools.cache(len))


def of_cached(recorder: Recorder, function: Any) -> Callable[..., Any]:
    """The form of a function with a cache of `functools`: it is called as in eager, also by the guards of a program.

    So it is noticed that a cache of the user's was cleared, or has forgotten an answer.
    """

    def cached(*args: Any, **kwargs: Any) -> Any:
        if not all(isinstance(leaf, _FIXED) for leaf in leaves_of((args, kwargs))):
            raise _refused(function, "is given more than numbers and texts")
        is_users = is_users_function(function.__wrapped__)
        if is_users and not _remembers(recorder, function, args, kwargs):
            _refuse_effects(recorder, function, args, kwargs)
        with recorder.suspended(), without_modes():
            answer = function(*args, **kwargs)
        if any(map(is_fake, tensors_in(answer))):
            function.cache_clear()
            raise _refused(function, "reads what the static function has changed")
        if is_users:
            key = function, functools._make_key(args, kwargs, typed=True)
            source = recorder.cached_calls.setdefault(key, Setting(functools.partial(function, *args, **kwargs)))
            recorder.reachable.add_root(source, answer)
        return answer

    return cached


class _Forgotten(BaseException):
    """A cache calls its function."""


def _remembers(recorder: Recorder, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a cache has the answer: a call of its function is stopped before it does anything."""
    code = function.__wrapped__.__code__

    def stop(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code is code:
            raise _Forgotten

    before = sys.getprofile()
    with recorder.suspended():
        sys.setprofile(stop)
        try:
            function(*args, **kwargs)
        except _Forgotten:
            return False
        finally:
            sys.setprofile(before)
    return True


def _refuse_effects(recorder: Recorder, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Go on only if a function with a cache, which has to be called now, writes nothing: that would be done once.

    Raises:
        CaptureError: it does.
    """
    assert recorder.region is not None
    mark, key = recorder.journal.mark(), ("cache", recorder.next_number)
    if key in recorder.region.forked:
        return
    reads, reached = recorder.reads.copy(), recorder.reachable.roots_and_names()
    # What it raises, the function itself raises again, which is called next.
    with aside(recorder, key), contextlib.suppress(Exception, CaptureError):
        recorder.form_of(function.__wrapped__)(*args, **kwargs)
    recorder.pending_error = None
    written = recorder.reachable.written_since(mark)
    recorder.journal.undo(mark)
    recorder.reads.restore(reads)
    recorder.reachable.restore_roots(reached)
    if written:
        raise _refused(function, "changes something when it computes one")


def of_cached_in_run(recorder: Recorder, function: Any, inner: Callable[..., Any]) -> Callable[..., Any]:
    """The form of a function with a cache that this run of the function has made: the cache is empty at each run."""
    answers = recorder.cached_answers.setdefault(function, {})
    most = function.cache_parameters()["maxsize"]

    def cached(*args: Any, **kwargs: Any) -> Any:
        if any(map(is_staged, leaves_of((args, kwargs)))):
            raise _refused(function, "is given a value that is known only at run time")
        key = args, tuple(kwargs.items())
        note_contents(answers)
        answer = answers.pop(key) if key in answers else inner(*args, **kwargs)
        answers[key] = answer  # as the last to be forgotten
        if most is not None and len(answers) > most:
            del answers[next(iter(answers))]
        return answer

    return cached


def of_cache_method(recorder: Recorder, method: Any) -> Callable[..., Any]:
    """The form of `cache_clear` and `cache_info`."""
    function = method.__self__

    def called() -> Any:
        if function not in recorder.cached_answers:
            if is_users_function(function.__wrapped__):
                raise _refused(function, f"is asked for {method.__name__}()")
            return method()
        if method.__name__ != "cache_clear":
            raise _refused(function, f"is asked for its {method.__name__}")
        note_contents(recorder.cached_answers[function])
        recorder.cached_answers[function].clear()
        return None

    return called


def _refused(function: Any, what: str) -> CaptureError:
    reason = f"{function.__qualname__} remembers its answers, and {what}"
    return CaptureError("D2S307", reason, "call the function without the cache", user_location())


@contextmanager
def recording_cached_properties(recorder: Recorder, converted: Callable[..., Any]) -> Iterator[None]:
    """While a recording goes on, what a `functools.cached_property` computes is written by the program."""
    original = functools.cached_property.__get__

    def get(self: Any, instance: Any, owner: Any = None) -> Any:
        is_new = instance is not None and self.attrname not in vars(instance)
        if not is_new or active_recorder() is not recorder or is_left_alone(self.func.__code__):
            return original(self, instance, owner)
        value = converted(recorder, types.MethodType(self.func, instance))()
        note_attribute(instance, self.attrname)
        vars(instance)[self.attrname] = value
        return value

    with replaced(functools.cached_property, "__get__", get):
        yield

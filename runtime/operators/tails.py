"""Calls that a function makes last, perhaps of itself: where only a tensor stops these, they are trips of a loop."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from d2s.runtime.operators.calls import call
from d2s.runtime.operators.loops import while_
from d2s.runtime.recording.places import CellLocation
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.specs import UNSET


def tail_call(function: Any) -> Any:
    """What to call in place of a function that is called last, perhaps by itself."""
    recorder = active_recorder()
    plain = getattr(function, "__func__", function)
    if recorder is None or not inspect.isfunction(plain):
        return call(function)
    first = (function.__self__,) if plain is not function else ()
    again = recorder.tails.loop_of(plain)

    def called(*args: Any, **kwargs: Any) -> Any:
        if again is not None:
            again((*first, *args), kwargs)
            return UNSET
        if plain.__code__ in recorder.tails.codes:
            return _loop(recorder, plain, (*first, *args), kwargs)
        with recorder.tails.calling(plain.__code__):
            return call(function)(*args, **kwargs)

    return called


def _loop(recorder: Recorder, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`function(*args, **kwargs)`, its tail calls of itself the trips of one loop."""
    signature = inspect.signature(function)
    form: Callable[..., Any] = call(function)
    given = _all_of(signature, args, kwargs)
    go_on: Any = True
    result: Any = UNSET

    def again(next_args: tuple[Any, ...], next_kwargs: dict[str, Any]) -> None:
        nonlocal given, go_on
        for name, cell in zip(again.__code__.co_freevars, again.__closure__ or (), strict=True):
            if name in ("given", "go_on"):
                recorder.journal.note(CellLocation(cell))
        given, go_on = _all_of(signature, next_args, next_kwargs), True

    def test() -> Any:
        return go_on

    def trip() -> None:
        nonlocal go_on, result
        go_on = False
        with recorder.tails.looping(function, again):
            result = form(*given[0], **dict(given[1]))

    while_(test, trip, ("go_on", "result"))
    return result


def _all_of(signature: inspect.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """The arguments of a call with the defaults of those that are not given; named ones as pairs."""
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args, tuple(bound.kwargs.items())

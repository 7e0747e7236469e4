"""Functions that a program calls as the Python code that they are, at each run."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Block, Call, Effects, Tree, Value, map_tree, walk_ops
from d2s.runtime.ir.sources import attributes_of
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.loops import aside
from d2s.runtime.recording.outputs import Outputs
from d2s.runtime.recording.recorder import Recorder
from d2s.runtime.recording.staged import is_staged

_MARK = "__d2s_keep_dynamic__"


def keep_dynamic(target: Any) -> None:
    """Mark a function or a module of torch."""
    vars(target)[_MARK] = True


def is_kept_dynamic(target: Any) -> bool:
    """Whether a function, a method or a module is marked."""
    function = target.__func__ if isinstance(target, types.MethodType) else target
    return attributes_of(function).get(_MARK) is True


def recorded_as_it_is(recorder: Recorder, function: Any, converted: Callable[..., Any]) -> Callable[..., Any]:
    """What to call in place of a function: it records one call of the function itself.

    The `converted` form is recorded aside, to learn what the answer is like, and thrown away.
    """

    def recorded(*args: Any, **kwargs: Any) -> Any:
        mark, key = recorder.journal.mark(), ("as it is", recorder.next_number)
        assert recorder.region is not None
        if key in recorder.region.forked:
            raise _refused(function, "decides by values of tensors what kind of thing it returns", "return tensors")
        with aside(recorder, key) as block:
            answer = converted(*args, **kwargs)
        if any(recorder.reachable.find(location.owner) is not None for location in recorder.journal.since(mark)):
            remedy = "return what it computes, and write it where it is called"
            raise _refused(function, "writes state that outlives the call", remedy)
        target, given = _target(function, args)
        return call_as_it_is(recorder, target, given, kwargs, block, answer)

    return recorded


def call_as_it_is(
    recorder: Recorder, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], block: Block, answer: Any
) -> Any:
    """Have the program call a function that was recorded aside as a `block`, with this answer; what stands for it."""
    result, seen = _result(recorder, answer)
    operands, named = map_tree(Outputs(recorder).tree, (args, kwargs))
    recorder.emit_call(target, operands, named, result, Effects(writes=written_by(block), ordered=True))
    recorder.facts.forget_tensors()
    return seen


def call_module(module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
    """`module(*args, **kwargs)`."""
    return module(*args, **kwargs)


def _target(function: Any, args: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """What the program calls, and with what: the object of a method is found anew at each run."""
    if isinstance(function, types.MethodType):
        return function.__func__, (function.__self__, *args)
    if isinstance(function, torch.nn.Module):
        return call_module, (function, *args)
    return function, args


def written_by(block: Block) -> tuple[Value, ...]:
    """The values from outside that a block writes."""
    calls = [op for op in walk_ops(block) if isinstance(op, Call)]
    own = {value for op in calls for value in op.results}
    return tuple(dict.fromkeys(value for op in calls for value in op.effects.writes if value not in own))


def _refused(function: Any, what: str, remedy: str) -> CaptureError:
    name = getattr(function, "__qualname__", type(function).__name__)
    return CaptureError("D2S306", f"{name} is not to be static, and {what}", remedy, user_location())


def _result(recorder: Recorder, answer: Any) -> tuple[Tree, Any]:
    """The result in the program, and what stands for it; what is known beforehand stays."""
    if is_staged(answer):
        value = recorder.fresh(recorder.type_of(answer) if isinstance(answer, torch.Tensor) else answer.value.type)
        return value, recorder.stand_in(value)
    if type(answer) in (list, tuple):
        parts = [_result(recorder, item) for item in answer]
        return tuple(result for result, _ in parts), type(answer)(seen for _, seen in parts)
    if isinstance(answer, str | int | float | bool | None):
        return None, answer
    reason = f"a function that is not to be static gives a {type(answer).__name__}"
    raise CaptureError("D2S306", reason, "return tensors, numbers, lists and tuples", user_location())

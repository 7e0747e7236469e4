"""Hooks of tensors: the program registers the user's own, at each run."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import ORDERED, PythonType
from d2s.runtime.recording.handles import RunTimeHandle
from d2s.runtime.recording.kinds import is_value
from d2s.runtime.recording.locations import is_users_function, user_location
from d2s.runtime.recording.outputs import Outputs
from d2s.runtime.recording.places import MISSING
from d2s.runtime.recording.variables import cells_of, globals_of
from d2s.runtime.torch_internals.effects import hooks_of


def registering(function: Any) -> Any:
    """The rule for a function of torch that registers a hook of a tensor."""

    def rule(recorder: Any, tensor: torch.Tensor, hook: Any) -> RunTimeHandle:
        # Torch says whether the tensor can have one. The fake gets none: it would be called while recording.
        function(recorder.fake(tensor), _nothing).remove()
        if function is torch.Tensor.register_post_accumulate_grad_hook:
            recorder.gradients.note_hook(recorder.fake(tensor))
        value = recorder.fresh(PythonType(torch.utils.hooks.RemovableHandle))
        recorder.emit_call(function, (tensor, Outputs(recorder).tree(hook)), {}, value, ORDERED)
        return RunTimeHandle(recorder, value)

    return rule


def _nothing(gradient: Any) -> None:
    """A hook that does nothing."""


def check_hooks(recorder: Any) -> None:
    """Before gradients are computed: go on only if the hooks that are there share nothing with the code that is met.

    The run calls them, and what they do then is not recorded.

    Raises:
        CaptureError: one uses an object that this code can ask.
    """
    reachable = recorder.reachable
    tensors = (thing for thing in reachable.things() if isinstance(thing, torch.Tensor) and thing.requires_grad)
    for hook in (hook for tensor in tensors for hook in hooks_of(tensor)):
        for name, thing in _used_by(hook):
            if reachable.knows(thing):
                reason = f"a hook of a tensor, which is called with its gradient, uses {name}, as other code does"
                raise CaptureError("D2S307", reason, "compute the gradients outside", user_location())


def _used_by(hook: Any) -> Iterator[tuple[str, Any]]:
    """The objects with state that a hook can change, with their names."""
    if isinstance(hook, functools.partial):
        yield from _used_by(hook.func)
        yield from (("an argument", arg) for arg in (*hook.args, *hook.keywords.values()))
        return
    if isinstance(hook, types.MethodType):
        yield "its object", hook.__self__
        hook = hook.__func__
    if is_users_function(hook):
        for source, value in (*cells_of(hook), *globals_of(hook)):
            is_harmless = isinstance(value, types.ModuleType | types.FunctionType | torch.Tensor) or is_value(value)
            if value is not MISSING and not is_harmless:
                yield str(source), value

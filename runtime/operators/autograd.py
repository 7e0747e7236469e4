"""Functions with a backward of their own, and backward hooks of modules: the program calls them as they are."""

from __future__ import annotations

import types
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointFunction

from d2s.runtime.ir.program import ORDERED, PythonType, map_tree
from d2s.runtime.operators.checkpoints import checkpointed
from d2s.runtime.recording.outputs import Outputs
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.snapshot import undoing
from d2s.runtime.torch_internals.calls import MODULE_BACKWARD_HOOK, autograd_apply, module_backward_hook, replaced


@contextmanager
def recording_autograd(recorder: Recorder) -> Iterator[None]:
    """While a recording goes on, each `autograd.Function` and each backward hook of a module is recorded whole."""
    with ExitStack() as stack:
        stack.enter_context(replaced(torch.autograd.Function, "apply", classmethod(_applying(recorder))))
        stack.enter_context(replaced(*MODULE_BACKWARD_HOOK, _backward_hook(recorder)))
        yield


def _applying(recorder: Recorder) -> Any:
    def apply(cls: Any, *args: Any, **kwargs: Any) -> Any:
        function = types.MethodType(autograd_apply, cls)
        if active_recorder() is not recorder or recorder.inferring:
            return function(*args, **kwargs)
        if cls is CheckpointFunction:
            run, keeps_random_state, *given = args
            return checkpointed(run, *given, use_reentrant=True, preserve_rng_state=keeps_random_state)
        operands = map_tree(Outputs(recorder).tree, args)
        parts = [getattr(cls, name) for name in ("forward", "setup_context")]
        with undoing(recorder, parts, (cls, *args)), recorder.suspended():
            return recorder.record(function, operands, kwargs, args, opaque=True)

    return apply


def _backward_hook(recorder: Recorder) -> Any:
    """What to make in place of torch's own object that calls the backward hooks of one call of a module."""
    original = getattr(*MODULE_BACKWARD_HOOK)

    def make(module: Any, *hooks: Any) -> Any:
        if active_recorder() is not recorder:
            return original(module, *hooks)
        value = recorder.fresh(PythonType(original))
        recorder.emit_call(module_backward_hook, (Outputs(recorder).tree(module),), {}, value, ORDERED)
        return _RecordedBackwardHook(recorder, original(module, [], []), value)

    return make


class _RecordedBackwardHook:
    """Stands for such an object; `without_hooks` is one that tells the types of its answers."""

    def __init__(self, recorder: Recorder, without_hooks: Any, value: Any):
        self._recorder = recorder
        self._without_hooks = without_hooks
        self._value = value

    def setup_input_hook(self, args: Any) -> Any:
        return self._record(setup_input_hook, args)

    def setup_output_hook(self, args: Any) -> Any:
        return self._record(setup_output_hook, args)

    def _record(self, function: Any, args: Any) -> Any:
        with self._recorder.suspended():
            return self._recorder.record(function, (self._value, args), {}, (self._without_hooks, args), opaque=True)


def setup_input_hook(hook: Any, args: Any) -> Any:
    """The arguments of a module, made to tell the hook of their gradients."""
    return hook.setup_input_hook(args)


def setup_output_hook(hook: Any, args: Any) -> Any:
    """The answer of a module, made to tell the hook of its gradients."""
    return hook.setup_output_hook(args)

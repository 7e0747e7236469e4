"""Hooks of tensors: the program registers the user's own, at each run."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.ir.program import ORDERED, PythonType
from d2s.runtime.recording.handles import RunTimeHandle
from d2s.runtime.recording.outputs import Outputs


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

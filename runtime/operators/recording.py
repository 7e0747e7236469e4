"""What is otherwise while a recording goes on: all that torch and Python call by themselves is recorded too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from d2s.runtime.operators.autograd import recording_autograd
from d2s.runtime.operators.calls import converting_modules
from d2s.runtime.operators.draws import manual_seed
from d2s.runtime.operators.parameters import recording_parameters
from d2s.runtime.operators.shapes import broadcast_shapes
from d2s.runtime.recording.recorder import Recorder
from d2s.runtime.torch_internals.calls import replaced

# The operators that code which is not rewritten calls too, by the name of torch's function.
_FOR_ALL = {"manual_seed": manual_seed, "broadcast_shapes": broadcast_shapes}


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Around one run of the function."""
    with ExitStack() as stack:
        stack.enter_context(recorder.running())
        stack.enter_context(converting_modules(recorder))
        stack.enter_context(recording_autograd(recorder))
        stack.enter_context(recording_parameters(recorder))
        for name, operator in _FOR_ALL.items():
            stack.enter_context(replaced(torch, name, operator))
        yield

"""What is otherwise while a recording goes on: all that torch and Python call by themselves is recorded too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from d2s.runtime.operators.autograd import recording_autograd
from d2s.runtime.operators.calls import converting_modules
from d2s.runtime.operators.draws import recording_seeds
from d2s.runtime.operators.parameters import recording_parameters
from d2s.runtime.operators.shapes import recording_shapes
from d2s.runtime.recording.recorder import Recorder


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Around one run of the function."""
    with (
        recorder.running(),
        converting_modules(recorder),
        recording_autograd(recorder),
        recording_parameters(recorder),
        recording_seeds(),
        recording_shapes(),
    ):
        yield

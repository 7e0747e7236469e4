"""Parameters and buffers that a call makes: the program makes them as what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.torch_internals.calls import replaced

_KINDS = (torch.nn.Parameter, torch.nn.Buffer)


@contextmanager
def recording_parameters(recorder: Recorder) -> Iterator[None]:
    """While a recording goes on, each parameter and buffer that is made is recorded as such."""
    with ExitStack() as stack:
        for kind in _KINDS:
            stack.enter_context(replaced(kind, "__new__", staticmethod(_making(recorder, kind))))
        yield


def _making(recorder: Recorder, kind: Any) -> Callable[..., Any]:
    original = kind.__new__

    def new(cls: Any, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        if active_recorder() is not recorder or cls is not kind:
            return original(cls, data, *args, **kwargs)
        given = torch.empty(0) if data is None else data
        # What it is like is inferred by a call of the class, which marks a fake as one.
        with recorder.suspended():
            return recorder.record(kind, (given, *args), kwargs)

    return new

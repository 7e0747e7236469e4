"""The operator for the shape that others are broadcast to: of sizes that only the run knows, the run finds it."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.ir.program import PythonType
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.staging import recorder_for

_of_torch = torch.broadcast_shapes


def broadcast_shapes(*shapes: Any) -> Any:
    """`torch.broadcast_shapes(*shapes)`."""
    rows = [(shape,) if isinstance(shape, int) else tuple(shape) for shape in shapes]
    recorder = recorder_for(*(size for row in rows for size in row))
    if recorder is None:
        return _of_torch(*shapes)
    count = max(map(len, rows))
    values = tuple(recorder.fresh(PythonType(int)) for _ in range(count))
    recorder.emit_call(_of_torch, tuple(rows), {}, values)
    return tuple(recorder.number(int, value) for value in values)


REPLACEMENTS[_of_torch] = broadcast_shapes

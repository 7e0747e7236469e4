"""Programs as models of ONNX."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.errors import D2SError
from d2s.runtime.exporting.functional import FunctionalModule
from d2s.runtime.exporting.pt2 import exported
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.torch_internals.graphs import onnx_model

# No tensor has an element there.
_NOWHERE = 2**31 - 1


def fail_at_an_index(holds: torch.Tensor, values: list[Any], reason: str) -> None:
    """Fail by an index out of range, for ONNX has no operator that only fails: the first value depends on it."""
    index = torch.where(holds, 0, _NOWHERE).reshape(1)
    zero = torch.zeros(1, dtype=values[0].dtype).index_select(0, index).reshape(())
    values[0] = torch.logical_or(values[0], zero) if values[0].dtype == torch.bool else values[0] + zero


def model_of(module: FunctionalModule) -> Any:
    """The program of a module, made to `fail_at_an_index`, as a checked `onnx.ModelProto`.

    Raises:
        D2SError: an operator of it has no translation, or draws random numbers, which no runtime draws as torch does.
    """
    import onnx

    for op in module.calls():
        if op.effects.random:
            raise LoweringError("random draws differ in other runtimes: they can't be exported to ONNX", op.location)
    for source in module.written:
        raise LoweringError(f"a write to {source}, which a model of ONNX would not keep, can't be exported to ONNX")
    program = exported(module)
    try:
        model = onnx_model(program, module.output_names)
    except Exception as error:
        raise D2SError(f"torch has no translation to ONNX for it: {_first_cause(error)}") from error
    onnx.checker.check_model(model, full_check=True)
    return model


def _first_cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}".splitlines()[0]

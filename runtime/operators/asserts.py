"""The operators for torch's own checks, which raise where a value of the run is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.operators.builtins import REPLACEMENTS, str_
from d2s.runtime.operators.calls import call
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged

_KINDS: dict[Any, type[Exception]] = {
    torch._check: RuntimeError,
    torch._check_index: IndexError,
    torch._check_value: ValueError,
    torch._check_type: TypeError,
    torch._check_not_implemented: NotImplementedError,
}
_check_tensor, _check_tensor_with, _check_size = (
    torch._check_tensor_all,
    torch._check_tensor_all_with,
    torch._check_is_size,
)
_UNSAID = (
    "Expected cond to be True, but got False. (Could this error message be improved? If so, please report an "
    "enhancement request to PyTorch.)"
)


def _checking(kind: type[Exception]) -> Callable[..., None]:
    """The form of a check that raises exceptions of this class."""

    def checked(cond: Any, message: Any = None) -> None:
        check_with(kind, cond, message)

    return checked


def _check(kind: type[Exception], cond: Any, message: Any) -> None:
    """Go on where a bool of the run is true."""
    if not bool(cond):
        raise kind(_UNSAID if message is None else str_(call(message)()))


def check_with(kind: type[Exception], cond: Any, message: Any) -> None:
    """`torch._check_with(kind, cond, message)`."""
    if active_recorder() is None or not is_staged(cond) or isinstance(cond, torch.Tensor):
        torch._check_with(kind, cond, message)
    else:
        _check(kind, cond, message)


def check_is_size(i: Any, message: Any = None, *, max: Any = None) -> None:
    """`torch._check_is_size(i, message, max=max)`."""
    if active_recorder() is None or not (is_staged(i) or is_staged(max)):
        _check_size(i, message, max=max)
        return
    check_with(RuntimeError, i >= 0, message)
    if max is not None:
        check_with(RuntimeError, i <= max, message)


def check_all_with(kind: type[Exception], cond: Any, message: Any = None) -> None:
    """`torch._check_tensor_all_with(kind, cond, message)`."""
    if active_recorder() is None or not isinstance(cond, torch.Tensor) or cond.dtype is not torch.bool:
        _check_tensor_with(kind, cond, message)
    else:
        _check(kind, cond.all().item(), message)


def check_all(cond: Any, message: Any = None) -> None:
    """`torch._check_tensor_all(cond, message)`."""
    check_all_with(RuntimeError, cond, message)


def asserted(cond: Any, message: Any) -> None:
    """`torch._assert(cond, message)`."""
    if active_recorder() is None or not is_staged(cond):
        torch._assert(cond, message)
    elif not bool(cond):
        raise AssertionError(message)


REPLACEMENTS.update({function: _checking(kind) for function, kind in _KINDS.items()})
REPLACEMENTS.update(
    {
        torch._check_with: check_with,
        torch._assert: asserted,
        _check_size: check_is_size,
        _check_tensor: check_all,
        _check_tensor_with: check_all_with,
    }
)

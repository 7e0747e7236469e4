"""The operators for questions whether somebody takes part in torch's calls: the recording does, and tells nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import has_torch_function, has_torch_function_unary, has_torch_function_variadic

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.recording.locations import TORCH_FOLDER, asking_code
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged

_USUAL = (torch.Tensor.__torch_function__.__func__, torch._C._disabled_torch_function_impl)


def _has_own(thing: Any) -> bool:
    """Whether the class of a thing takes part, as it does in eager."""
    if is_staged(thing) or not hasattr(type(thing), "__torch_function__"):
        return False
    method = type(thing).__torch_function__
    return getattr(method, "__func__", method) not in _USUAL


def _hiding(function: Any, given: Callable[..., Iterable[Any]]) -> Any:
    """The form of such a question, about what `given` picks from its arguments. Torch's own code is told."""

    def asked(*args: Any) -> Any:
        if active_recorder() is None or asking_code().co_filename.startswith(TORCH_FOLDER):
            return function(*args)
        return any(map(_has_own, given(*args)))

    return asked


REPLACEMENTS.update(
    {
        has_torch_function: _hiding(has_torch_function, lambda things: things),
        has_torch_function_unary: _hiding(has_torch_function_unary, lambda thing: (thing,)),
        has_torch_function_variadic: _hiding(has_torch_function_variadic, lambda *things: things),
    }
)

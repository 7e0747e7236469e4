"""The operators for questions whether somebody takes part in torch's calls: the recording does, and tells nobody."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch.overrides import has_torch_function, has_torch_function_unary, has_torch_function_variadic

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged

_USUAL = (torch.Tensor.__torch_function__.__func__, torch._C._disabled_torch_function_impl)


def _has_own(thing: Any) -> bool:
    """Whether the class of a thing takes part, as it does in eager."""
    if is_staged(thing) or not hasattr(type(thing), "__torch_function__"):
        return False
    method = type(thing).__torch_function__
    return getattr(method, "__func__", method) not in _USUAL


def any_has(things: Iterable[Any]) -> bool:
    """`has_torch_function(things)`."""
    return has_torch_function(things) if active_recorder() is None else any(map(_has_own, things))


def one_has(thing: Any) -> bool:
    """`has_torch_function_unary(thing)`."""
    return any_has((thing,))


def some_has(*things: Any) -> bool:
    """`has_torch_function_variadic(*things)`."""
    return any_has(things)


REPLACEMENTS.update(
    {has_torch_function: any_has, has_torch_function_unary: one_has, has_torch_function_variadic: some_has}
)

"""`to_static`: makes functions, methods, modules and callable objects static."""

from __future__ import annotations

import types
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.static import BoundStaticFunction, StaticFunction


def to_static(target: Any = None, *, full_graph: bool = False) -> Any:
    """The static form of a function: on the first call of each signature it is captured as a program.

    A signature is the structure of the arguments, the dtype, shape and `requires_grad` of their tensors, the
    values of their numbers and texts, and whether gradients are on.

    Args:
        target: a function, a method, a module (the same module comes back, its `forward` made static), or an
            object with `__call__`. Left out, the answer is a decorator.
        full_graph: raise `ConversionError` where something can't be captured. Otherwise the function then runs
            in eager, with one `FallbackWarning` for each place that calls it.
    """
    if target is None:
        return partial(to_static, full_graph=full_graph)
    if isinstance(target, StaticFunction | BoundStaticFunction):
        return target
    if isinstance(target, types.FunctionType):
        return StaticFunction(target, full_graph)
    if isinstance(target, types.MethodType):
        return BoundStaticFunction(StaticFunction(target.__func__, full_graph), target.__self__)
    if isinstance(target, torch.nn.Module):
        return _static_module(target, full_graph)
    call: Callable[..., Any] | None = getattr(type(target), "__call__", None)  # noqa: B004
    if isinstance(call, types.FunctionType) and not isinstance(target, type):
        return BoundStaticFunction(StaticFunction(call, full_graph), target)
    raise D2SError(f"to_static takes a function, a method, a module or a callable object, not {target!r}")


def _static_module(module: torch.nn.Module, full_graph: bool) -> torch.nn.Module:
    forward = module.forward
    if not isinstance(forward, BoundStaticFunction):
        module.forward = to_static(forward, full_graph=full_graph)
    return module

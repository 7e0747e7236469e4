"""What torch does around calls: the hooks of modules, and the checks of arguments."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._C._dynamo.guards import TensorGuards


def is_profiling(function: Any) -> bool:
    """Whether a function only tells torch's profiler something."""
    return getattr(function, "__module__", None) == "torch._ops.profiler"


def tensor_check(
    tensors: list[torch.Tensor], shapes: list[tuple[int | None, ...]], strides: list[tuple[int, ...] | None]
) -> Callable[..., bool]:
    """Whether as many tensors are of the same class, dtype, shape, strides, device and `requires_grad` as these.

    None in one of the `shapes` is a size that may differ, None among the `strides` is those of a tensor that may.
    """
    sizes: list[Any] = [list(shape) for shape in shapes]
    steps: list[Any] = [
        [None] * len(shape) if stride is None else list(stride) for shape, stride in zip(shapes, strides, strict=True)
    ]
    check: Callable[..., bool] = TensorGuards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=steps).check
    return check


# `torch.autograd.Function.apply` before it is bound to a class; from torch 2.14 on it is written in C.
_apply = vars(torch.autograd.Function)["apply"]
autograd_apply: Callable[..., Any] = getattr(_apply, "__func__", _apply)


# The globals of torch's own module of modules that hold the hooks of all modules.
GLOBAL_HOOK_TABLES = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)


# Where a module finds the class of the object that calls its backward hooks.
MODULE_BACKWARD_HOOK = (torch.nn.modules.module, "BackwardHook")


def module_backward_hook(module: Any) -> Any:
    """The object that calls the full backward hooks of one call of a module."""
    return torch.utils.hooks.BackwardHook(module, module._get_backward_hooks()[0], module._get_backward_pre_hooks())


# By class and name: what a class holds itself where others stand in for it meanwhile; nothing where it holds none.
_stood_in_for: dict[tuple[type, str], tuple[Any, ...]] = {}


@contextmanager
def replaced(owner: Any, name: str, new: Any) -> Iterator[None]:
    """Another attribute in place of that of a class or module, meanwhile, not asking a metaclass."""
    is_asked = isinstance(owner, type) and isinstance(type(owner).__setattr__, types.FunctionType)
    put, drop = (type.__setattr__, type.__delattr__) if is_asked else (setattr, delattr)
    original = (vars(owner)[name],) if name in vars(owner) else ()
    is_first = isinstance(owner, type) and (owner, name) not in _stood_in_for
    if is_first:
        _stood_in_for[owner, name] = original
    put(owner, name, new)
    try:
        yield
    finally:
        if original:
            put(owner, name, original[0])
        else:
            drop(owner, name)
        if is_first:
            del _stood_in_for[owner, name]


def entries_of(cls: type) -> types.MappingProxyType[str, Any]:
    """What a class holds itself, without what stands in for it meanwhile."""
    found = {name: _stood_in_for.get((cls, name), (item,)) for name, item in vars(cls).items()}
    return types.MappingProxyType({name: item[0] for name, item in found.items() if item})

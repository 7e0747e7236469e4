"""`to_static`: makes functions, methods, modules, classes and other callables static."""

from __future__ import annotations

import functools
import types
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.static import BoundStaticFunction, StaticFunction, StaticObject, StaticPartial

_STATIC = StaticFunction | BoundStaticFunction | StaticPartial


def to_static(target: Any = None, *, full_graph: bool = False) -> Any:
    """The static form of a callable: on the first call of each signature it is captured as a program.

    A signature is the structure of the arguments, the dtype, shape and `requires_grad` of their tensors, the
    values of their numbers and texts, and whether gradients are on.

    Args:
        target: a function, a lambda, a method (also as `classmethod` or `staticmethod`), a partial, an object with
            `__call__`, a module or a class. Of a module its `forward` is made static and the same module comes
            back; so does a class, of which that is `forward` if it is one of modules, else `__call__`. Left out,
            the answer is a decorator.
        full_graph: raise `ConversionError` where something can't be captured. Otherwise the function then runs
            in eager, with one `FallbackWarning` for each place that calls it.

    Raises:
        D2SError: the target can't be called.
    """
    if target is None:
        return functools.partial(to_static, full_graph=full_graph)
    if isinstance(target, _STATIC):
        return target
    if isinstance(target, classmethod | staticmethod):
        return type(target)(to_static(target.__func__, full_graph=full_graph))
    if isinstance(target, type):
        return _in_place(target, "forward" if issubclass(target, torch.nn.Module) else "__call__", full_graph)
    if isinstance(target, torch.nn.Module):
        return _in_place(target, "forward", full_graph)
    return _static(target, full_graph)


def _static(target: Any, full_graph: bool) -> Any:
    """The static form of something that is called as it is."""
    if isinstance(target, types.FunctionType):
        return StaticFunction(target, full_graph)
    if isinstance(target, types.MethodType):
        return BoundStaticFunction(to_static(target.__func__, full_graph=full_graph), target.__self__)
    if isinstance(target, functools.partial):
        return StaticPartial(to_static(target.func, full_graph=full_graph), *target.args, **target.keywords)
    call = getattr(type(target), "__call__", None)  # noqa: B004
    if isinstance(call, types.FunctionType):
        return StaticObject(StaticFunction(call, full_graph), target)
    if isinstance(call, StaticFunction):
        return StaticObject(call, target)
    if callable(target):
        return StaticFunction(_calling(target), full_graph)
    raise D2SError(f"to_static takes something that can be called, not {target!r}")


def _in_place(owner: Any, name: str, full_graph: bool) -> Any:
    """A module or a class with a static method in place of its own."""
    method = getattr(owner, name, None)
    if isinstance(method, _STATIC):
        return owner
    if not isinstance(method, types.FunctionType | types.MethodType) or method.__name__ == "_forward_unimplemented":
        raise D2SError(f"to_static makes `{name}` of {owner!r} static, and it has none written in Python")
    static = _static(method, full_graph)
    if isinstance(static, StaticFunction):
        static.place = owner, name
    setattr(owner, name, static)
    return owner


def _calling(target: Any) -> Any:
    """A function of Python's that calls a callable that is none: a built-in one, or one that caches."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    return functools.update_wrapper(call, target)

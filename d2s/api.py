"""`to_static`: makes functions, methods, modules, classes and other callables static."""

from __future__ import annotations

import functools
import types
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.programs import Options
from d2s.runtime.backend.execution import BACKENDS
from d2s.runtime.operators.refusals import is_distributed
from d2s.static import BoundStaticFunction, StaticForward, StaticFunction, StaticObject, StaticPartial

_STATIC = StaticFunction | BoundStaticFunction | StaticPartial


def to_static(target: Any = None, *, input_spec: Any = None, full_graph: bool = False, backend: str = "torch") -> Any:
    """The static form of a callable: on the first call of each signature it is captured as a program.

    A signature is the structure of the arguments, the dtype, shape and `requires_grad` of their tensors, the modes
    of torch, and the Python values that are read. A size or a number that differs at another call is left open from
    then on.

    Args:
        target: a function, a lambda, a method (also as `classmethod` or `staticmethod`), a partial, an object with
            `__call__`, a module or a class. Of a module its `forward` is made static and the same module comes
            back (with `DistributedDataParallel` around it, which stays as it is); so does a class, of which that is
            `forward` if it is one of modules, else `__call__`. Left out, the answer is a decorator.
        input_spec: a list with an `InputSpec` for each tensor argument, after `self`; in it, lists, tuples and dicts
            of such stand for arguments that hold tensors. One program serves all sizes that it leaves open.
        full_graph: raise `ConversionError` where something can't be captured. Otherwise the function then runs
            in eager, with one `FallbackWarning` for each place that calls it.
        backend: "torch" runs a program as one flat Python function of torch calls. "inductor" compiles all of it,
            loops and branches too, forward and backward; the first call of a signature then takes some seconds,
            and the next few run both ways to find out which is faster.


    Raises:
        D2SError: the target can't be called, or there is no such backend.
    """
    if target is None:
        return functools.partial(to_static, input_spec=input_spec, full_graph=full_graph, backend=backend)
    if backend not in BACKENDS:
        raise D2SError(f"the backend is one of {', '.join(map(repr, BACKENDS))}, not {backend!r}")
    return _to_static(target, Options(full_graph, input_spec, backend))


def original(target: Any) -> Any:
    """What was made static, as it was before; a module whose `forward` is static is given back as it is."""
    return target.__d2s_original__ if isinstance(target, _STATIC) else target


def _to_static(target: Any, options: Options) -> Any:
    if isinstance(target, _STATIC):
        return target
    if isinstance(target, classmethod | staticmethod):
        return type(target)(_to_static(target.__func__, options))
    if isinstance(target, type):
        return _in_place(target, "forward" if issubclass(target, torch.nn.Module) else "__call__", options)
    if is_distributed(target):
        _to_static(target.module, options)  # what is around it talks to other processes at each call
        return target
    if isinstance(target, torch.nn.Module):
        return _in_place(target, "forward", options)
    return _static(target, options)


def _static(target: Any, options: Options) -> Any:
    """The static form of something that is called as it is."""
    if isinstance(target, types.FunctionType):
        return StaticFunction(target, options)
    if isinstance(target, types.MethodType):
        return BoundStaticFunction(_to_static(target.__func__, options), target.__self__)
    if isinstance(target, functools.partial):
        return StaticPartial(_to_static(target.func, options), *target.args, **target.keywords)
    call = getattr(type(target), "__call__", None)  # noqa: B004
    if isinstance(call, types.FunctionType):
        return StaticObject(StaticFunction(call, options), target)
    if isinstance(call, StaticFunction):
        return StaticObject(call, target)
    if callable(target):
        return StaticFunction(_calling(target), options)
    raise D2SError(f"to_static takes something that can be called, not {target!r}")


def _in_place(owner: Any, name: str, options: Options) -> Any:
    """A module or a class with a static method in place of its own."""
    method = getattr(owner, name, None)
    if isinstance(method, _STATIC):
        return owner
    if not isinstance(method, types.FunctionType | types.MethodType) or method.__name__ == "_forward_unimplemented":
        raise D2SError(f"to_static makes `{name}` of {owner!r} static, and it has none written in Python")
    static = _static(method, options)
    if isinstance(static, BoundStaticFunction) and getattr(type(owner), name) is static.__func__.function:
        static = StaticForward(static.__func__, owner)
    if isinstance(static, StaticFunction):
        static.place = owner, name
    setattr(owner, name, static)
    return owner


def _calling(target: Any) -> Any:
    """A function of Python's that calls a callable that is none: a built-in one, or one that caches."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    return functools.update_wrapper(call, target)

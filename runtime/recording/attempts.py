"""Calls that fail for some values only, where the user's code would catch what they raise.

The program makes such a call as an attempt, which gives whether it failed, what the exception says, and the result;
the recording decides on the first, and raises the exception on the path where it failed.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from d2s.runtime.ir.program import Call, PythonType, TensorType, Tree, Value, values_in
from d2s.runtime.recording.lists import list_position
from d2s.runtime.recording.numbers import real_power

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

Failure = type[Exception]


def attempt(kind: Failure, function: Callable[..., Any], *args: Any, **kwargs: Any) -> tuple[bool, str, Any]:
    """Whether a call fails with an exception of this kind, what that says, and what it gives otherwise."""
    try:
        return False, "", function(*args, **kwargs)
    except kind as error:
        return True, str(error.args[0]) if error.args else "", None


def _divides(call: Call) -> bool:
    divisor = call.args[1]
    return isinstance(divisor, Value) or divisor == 0


def _is_position(tree: Tree) -> bool:
    """Whether a position of an item depends on values: not one of a mask, which fits or does not by its shape."""
    return any(
        value.type.dtype is not torch.bool if isinstance(value.type, TensorType) else value.type == PythonType(int)
        for value in values_in(tree)
    )


def _at_position(call: Call) -> bool:
    return len(call.args) < 2 or isinstance(call.args[0], Value) or _is_position(call.args[1:2])


def _has_values(call: Call) -> bool:
    return bool(values_in(call.args))


def _of_open_size(call: Call) -> bool:
    """Whether the truth is asked of a tensor which may have none or several elements."""
    return any(isinstance(value.type, TensorType) and None in value.type.shape for value in values_in(call.args))


def _divides_integers(call: Call) -> bool:
    """Whether a tensor of integers is divided by one, which may hold a zero."""
    kinds = [value.type for value in values_in((call.args, call.kwargs)) if isinstance(value.type, TensorType)]
    return bool(kinds) and not any(kind.dtype.is_floating_point or kind.dtype.is_complex for kind in kinds)


def _of_torch(names: str) -> list[Any]:
    """The functions of these names and the methods, also those that write in place."""
    places = [(owner, name) for name in names.split() for owner in (torch, torch.Tensor)]
    found = [getattr(owner, full, None) for owner, name in places for full in (name, f"{name}_")]
    return [function for function in found if function is not None]


# By what is called: what it raises for some values of its arguments, and for which calls that may be.
_FAILURES: dict[Any, tuple[Failure, Callable[[Call], bool]]] = {}


def _may_raise(kind: Failure, may: Callable[[Call], bool], functions: Iterable[Any]) -> None:
    _FAILURES.update((function, (kind, may)) for function in functions)


_may_raise(ZeroDivisionError, _divides, (operator.truediv, operator.floordiv, operator.mod, divmod))
_may_raise(ZeroDivisionError, _has_values, (operator.pow, pow, real_power))
_may_raise(ValueError, _has_values, (math.sqrt, math.log, math.log2, math.log10, math.log1p, math.acos, math.asin))
_may_raise(
    ValueError, _has_values, (math.atanh, math.acosh, math.gamma, math.lgamma, math.pow, math.fmod, int, float)
)
_may_raise(OverflowError, _has_values, (math.exp, math.expm1, math.cosh, math.sinh))
_may_raise(IndexError, _at_position, (operator.getitem, operator.setitem, operator.delitem, list.pop, list_position))
_may_raise(ValueError, _has_values, (list.remove, list.index, tuple.index, str.index))
_may_raise(
    IndexError, lambda call: _is_position(call.args[1:2]), (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
)
_POSITIONS = "select index_select index_add index_copy index_fill index_put take put"
_PLACES = "gather scatter scatter_add scatter_reduce take_along_dim masked_scatter"
_NUMBERS = "multinomial bernoulli poisson normal bincount repeat_interleave quantile nanquantile histc"
_LOSSES = "binary_cross_entropy multi_margin_loss multilabel_margin_loss one_hot embedding_bag ctc_loss"
_may_raise(IndexError, _has_values, _of_torch(_POSITIONS))
_may_raise(RuntimeError, _has_values, _of_torch(f"{_PLACES} {_NUMBERS}"))
_may_raise(RuntimeError, _has_values, [getattr(functional, name) for name in _LOSSES.split()])
_may_raise(IndexError, _has_values, (functional.embedding, functional.cross_entropy, functional.nll_loss))
_may_raise(RuntimeError, _divides_integers, _of_torch("div floor_divide remainder fmod __floordiv__ __mod__"))
_may_raise(RuntimeError, _of_open_size, (bool,))
_LINEAR = "cholesky inv solve tensorinv tensorsolve matrix_power svdvals eigvals eigvalsh".split()
_may_raise(torch.linalg.LinAlgError, _has_values, [getattr(torch.linalg, name) for name in _LINEAR])
_may_raise(torch.linalg.LinAlgError, _has_values, _of_torch("cholesky inverse"))


# What fits one tensor to sizes.
_FITTED = frozenset("view reshape expand unflatten split split_with_sizes narrow select repeat squeeze fold".split())


@dataclass(frozen=True)
class Handler:
    """What is around a piece of code: `caught()` tells which classes it catches.

    Where `sees` is true it is shown all others, too, such as by a `finally`.
    """

    caught: Callable[[], Any]
    sees: bool = False

    def minds(self, failure: Failure) -> bool:
        """Whether it matters to it that an exception of a class is raised."""
        return self.sees or issubclass(failure, self.caught())


def failure_of(call: Call, handlers: Iterable[Handler]) -> Failure | None:
    """What a call may raise that a handler around it would catch; None for nothing."""
    found = _FAILURES.get(call.target)
    if found is None or not found[1](call) or isinstance(call.result, tuple | list):  # an attempt has one result
        return None
    return found[0] if any(handler.minds(found[0]) for handler in handlers) else None


def may_not_fit(call: Call, handlers: Iterable[Handler]) -> bool:
    """Whether a call makes a tensor of others of open sizes, which may not fit, and one of these would see that."""
    operands = [value for value in values_in((call.args, call.kwargs)) if isinstance(value.type, TensorType)]
    is_fitted = len(operands) > 1 or getattr(call.target, "__name__", "") in _FITTED
    makes = any(isinstance(value.type, TensorType) for value in values_in(call.result))
    kinds = RuntimeError, IndexError, ValueError
    catches = any(issubclass(kind, handler.caught()) for handler in handlers for kind in kinds)
    return is_fitted and makes and catches and _of_open_size(call)


def emit_attempt(recorder: Recorder, call: Call, kind: Failure) -> None:
    """Add a call as an attempt; the recording goes on where it succeeds.

    Raises:
        Exception: it fails on this path, with an exception of that kind.
    """
    failed, message = recorder.fresh(PythonType(bool)), recorder.fresh(PythonType(str))
    args = (kind, call.target, *call.args)
    result = (failed, message, call.result)
    recorder.emit(Call(attempt, args, call.kwargs, result, call.effects, call.modes, call.location))
    if recorder.decide(recorder.number(bool, failed)):
        raise kind(recorder.stand_in(message))

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
_may_raise(
    IndexError, _has_values, (torch.select, torch.Tensor.select, torch.index_select, torch.Tensor.index_select)
)
_may_raise(IndexError, _has_values, (torch.nn.functional.embedding, torch.nn.functional.embedding_bag))
_may_raise(IndexError, _has_values, (torch.nn.functional.cross_entropy, torch.nn.functional.nll_loss))
_may_raise(RuntimeError, _has_values, (torch.gather, torch.Tensor.gather, torch.nn.functional.one_hot))
_LINEAR = (torch.linalg.cholesky, torch.linalg.inv, torch.linalg.solve)
_OF_OLD = (torch.cholesky, torch.Tensor.cholesky, torch.inverse, torch.Tensor.inverse)
_may_raise(RuntimeError, _of_open_size, (bool,))
_may_raise(torch.linalg.LinAlgError, _has_values, (*_LINEAR, *_OF_OLD))


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
    if found is None or not found[1](call):
        return None
    return found[0] if any(handler.minds(found[0]) for handler in handlers) else None


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

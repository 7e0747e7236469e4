"""Python's arithmetic on numbers as torch's on 0-dim tensors: int64, float64 and bool stand for int, float and bool.

Where Python raises, or goes on to more than 64 bits, a check is put before.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.ir.program import PythonType, TensorType, Tree, Value
from d2s.runtime.lowering.builder import DTYPES, TRUTH, Expander, as_tensor, number_type
from d2s.runtime.lowering.checks import check
from d2s.runtime.lowering.functions import ROUNDED, function
from d2s.runtime.operators.sequences import range_length

_COMPARED: dict[Any, Callable[..., Any]] = {
    operator.lt: torch.lt,
    operator.le: torch.le,
    operator.gt: torch.gt,
    operator.ge: torch.ge,
    operator.eq: torch.eq,
    operator.ne: torch.ne,
}
# Of flags, of which there is one of each.
_SAME: dict[Any, Callable[..., Any]] = {operator.is_: torch.eq, operator.is_not: torch.ne}
_COMPUTED: dict[Any, Callable[..., Any]] = {
    operator.add: torch.add,
    operator.sub: torch.sub,
    operator.mul: torch.mul,
    operator.neg: torch.neg,
    operator.pos: torch.clone,
    operator.abs: torch.abs,
    abs: torch.abs,
    operator.and_: torch.bitwise_and,
    operator.or_: torch.bitwise_or,
    operator.xor: torch.bitwise_xor,
    operator.invert: torch.bitwise_not,
    operator.index: torch.clone,
}
_DIVIDED: dict[Any, Callable[..., Any]] = {
    operator.truediv: torch.true_divide,
    operator.floordiv: torch.floor_divide,
    operator.mod: torch.remainder,
}
_CONVERTED = {bool: bool, int: int, float: float, operator.truth: bool}
# So far from the ends of 64 bits that not even rounding in float64 hides an overflow; as many trips take years.
_LARGEST = 2.0**62
_STEP = 2**31


def arithmetic(into: Expander, target: Any, args: tuple[Tree, ...], result: TensorType) -> Value | None:
    """The value of a function of Python's on numbers, of which some are 0-dim tensors; None for other functions."""
    if target in _COMPARED:
        return into.call(_COMPARED[target], *_alike(into, args), to=TRUTH)
    if target in _SAME and all(_dtype(one) == torch.bool for one in args):
        return into.call(_SAME[target], *_alike(into, args), to=TRUTH)
    if target is operator.not_:
        return into.call(torch.logical_not, as_tensor(into, args[0], torch.bool), to=TRUTH)
    if target in _CONVERTED:
        return _converted(into, args[0], DTYPES[_CONVERTED[target]])
    if target in _DIVIDED:
        return _divided(into, target, args, result)
    if target is range_length and type(args[2]) is int:
        return _trips(into, *args)
    if target in _COMPUTED:
        operands = _operands(into, args, result.dtype)
        _check_size(into, target, args, result)
        return into.call(_COMPUTED[target], *operands, to=result)
    if target in ROUNDED and len(args) == 1:
        wide = as_tensor(into, args[0], torch.float64)
        return _converted(into, into.call(ROUNDED[target], wide, to=number_type(float)), torch.int64)
    return function(into, target, args)


def _dtype(leaf: Tree) -> torch.dtype:
    if isinstance(leaf, Value):
        return DTYPES[leaf.type.python_type] if isinstance(leaf.type, PythonType) else leaf.type.dtype
    return DTYPES[type(leaf)]


def _operands(into: Expander, args: tuple[Tree, ...], dtype: torch.dtype) -> list[Tree]:
    """The operands of a call that computes in a dtype; torch takes constants for all but the first."""
    first, *others = args
    kept = [one if not isinstance(one, Value) else as_tensor(into, one, dtype) for one in others]
    return [as_tensor(into, first, dtype), *kept]


def _alike(into: Expander, args: tuple[Tree, ...]) -> list[Tree]:
    return _operands(into, args, torch.float64 if torch.float64 in map(_dtype, args) else torch.int64)


def _converted(into: Expander, value: Tree, dtype: torch.dtype) -> Value:
    """`int(f)` and `round(f)` raise for what is not finite, and ints may have more than 64 bits."""
    if dtype == torch.int64 and _dtype(value) == torch.float64:
        size = into.call(torch.abs, value, to=value.type)
        check(into, into.call(torch.lt, size, _LARGEST, to=TRUTH), "a float that is no int of 64 bits")
    return as_tensor(into, value, dtype)


def _divided(into: Expander, target: Any, args: tuple[Tree, ...], result: TensorType) -> Value:
    operands = _operands(into, args, result.dtype)
    if isinstance(args[1], Value):
        check(into, into.call(torch.ne, operands[1], 0, to=TRUTH), "division by zero")
        if result.dtype == torch.int64:
            # Integers divided by zero end a compiled program before the check does.
            one = as_tensor(into, 1, torch.int64)
            zero = into.call(torch.eq, operands[1], 0, to=TRUTH)
            operands[1] = into.call(torch.where, zero, one, operands[1], to=result)
    elif args[1] == 0:
        raise into.refusal("division by zero")
    return into.call(_DIVIDED[target], *operands, to=result)


def _trips(into: Expander, start: Tree, stop: Tree, step: int) -> Value:
    """The length of a range: the distance in steps, rounded up."""
    kind = number_type(int)
    first, last = (as_tensor(into, one, kind.dtype) for one in (start, stop))
    distance = into.call(torch.sub, last, first, to=kind)
    up_to = into.call(torch.add, distance, step - (1 if step > 0 else -1), to=kind)
    return into.call(torch.clamp, into.call(torch.floor_divide, up_to, step, to=kind), min=0, to=kind)


def _check_size(into: Expander, target: Any, args: tuple[Tree, ...], result: TensorType) -> None:
    """Check that integers stay within 64 bits, where more than steps of a counter are added."""
    if result.dtype != torch.int64 or target not in (operator.add, operator.sub, operator.mul):
        return
    small = any(not isinstance(one, Value) and abs(one) <= _STEP for one in args)
    if small and target is not operator.mul:
        return
    wide = TensorType(torch.float64, ())
    left, right = (into.call(torch.abs, as_tensor(into, one, torch.float64), to=wide) for one in args)
    size = into.call(torch.mul if target is operator.mul else torch.add, left, right, to=wide)
    check(into, into.call(torch.lt, size, _LARGEST, to=TRUTH), "an int of more than 64 bits")

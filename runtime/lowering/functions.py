"""Functions of Python's and of `math` on numbers as torch's on 0-dim tensors, and items of lists of numbers.

Where one raises, for a value that it isn't defined for or a result that is too large, a check is put before.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.ir.program import TensorType, Tree, Value
from d2s.runtime.lowering.builder import DTYPES, TRUTH, Expander, as_tensor, number_type
from d2s.runtime.lowering.checks import check
from d2s.runtime.recording.lists import list_position

# Those that make an int of a float.
ROUNDED: dict[Any, Callable[..., Any]] = {
    math.floor: torch.floor,
    math.ceil: torch.ceil,
    math.trunc: torch.trunc,
    round: torch.round,
}
_OF_FLOATS: dict[Any, Callable[..., Any]] = {
    getattr(math, name): getattr(torch, name)
    for name in """sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh erf
    erfc lgamma""".split()
}
_FLOAT = number_type(float)
_INT = number_type(int)


def function(into: Expander, target: Any, args: tuple[Tree, ...]) -> Value | None:
    """The value of a function on numbers, of which some are 0-dim tensors; None for functions that are not known."""
    if target in _OF_FLOATS and len(args) == 1:
        return _of_float(into, _OF_FLOATS[target], as_tensor(into, args[0], torch.float64))
    if target is math.gcd and len(args) == 2:
        return into.call(torch.gcd, *(as_tensor(into, one, torch.int64) for one in args), to=_INT)
    if target is operator.getitem and isinstance(args[0], list | tuple):
        return _item(into, args[0], args[1])
    if target is list_position and type(args[0]) is int:
        return _position(into, args[0], as_tensor(into, args[1], torch.int64))
    return None


def _of_float(into: Expander, target: Callable[..., Any], number: Value) -> Value:
    """`math` raises where the result isn't finite, unless the number wasn't either and there is a limit."""
    made = into.call(target, number, to=_FLOAT)
    both = [into.call(torch.isinf, one, to=TRUTH) for one in (number, made)]
    infinite = into.call(torch.logical_and, *both, to=TRUTH)
    finite = into.call(torch.isfinite, made, to=TRUTH)
    undefined = into.call(torch.isnan, number, to=TRUTH)
    holds = into.call(torch.logical_or, into.call(torch.logical_or, finite, infinite, to=TRUTH), undefined, to=TRUTH)
    check(into, holds, "a number that a function of math isn't defined for")
    return made


def _item(into: Expander, items: list[Tree] | tuple[Tree, ...], position: Tree) -> Value:
    """An item of a list of numbers of one type; that it is in range is checked when the index is legalised."""
    kinds = {one.type.dtype if isinstance(one, Value) else DTYPES.get(type(one)) for one in items}  # type: ignore[union-attr]
    (dtype,) = kinds if len(kinds) == 1 else (None,)
    if dtype is None:
        raise into.refusal("an item of a list of numbers of several types can't be lowered")
    table = into.call(
        torch.stack, [as_tensor(into, one, dtype) for one in items], to=TensorType(dtype, (len(items),))
    )
    index = as_tensor(into, position, torch.int64)
    return into.call(torch.Tensor.__getitem__, table, index, to=TensorType(dtype, ()))


def _position(into: Expander, count: int, position: Value) -> Value:
    at_least, below = into.call(torch.ge, position, -count, to=TRUTH), into.call(torch.lt, position, count, to=TRUTH)
    check(into, into.call(torch.logical_and, at_least, below, to=TRUTH), "an index out of range")
    return into.call(torch.remainder, position, count, to=_INT)

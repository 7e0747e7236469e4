"""Says which tensor functions take a 0-dim tensor for a number, and of which dtype it must be to mean the same.

A number of Python does not take part in the promotion of dtypes as a tensor does: it is made of the dtype that the
call computes in.
"""

from __future__ import annotations

import torch

from d2s.runtime.ir.names import is_in_place, qualified_name
from d2s.runtime.ir.program import Call, PythonType, TensorType, Value

_OF_RESULT = frozenset(
    """add sub mul div true_divide floor_divide remainder fmod pow rsub __radd__ __rsub__ __rmul__ __rtruediv__
    __rdiv__ __rpow__ __rfloordiv__ __rmod__ clamp clamp_min clamp_max where maximum minimum masked_fill full_like
    bitwise_and bitwise_or bitwise_xor""".split()
)
_COMPARING = frozenset("lt le gt ge eq ne __eq__ __ne__ less greater less_equal greater_equal not_equal".split())
_OF_FIRST = frozenset("fill_ masked_fill_ index_fill_ __setitem__".split())
_SAMPLES = {bool: True, int: 1, float: 1.0}


def scalar_dtype(call: Call, number: Value) -> torch.dtype | None:
    """The dtype of the 0-dim tensor that a call takes in place of a number; None if it takes none."""
    place, _, name = (qualified_name(call.target) or "").partition(".")
    name = name.removeprefix("Tensor.")
    result = call.results[0].type if call.results else None
    first = next((one.type for one in call.operands if isinstance(one.type, TensorType)), None)
    if place != "torch" or first is None:
        return None
    if name in _OF_FIRST or (is_in_place(call.target) and name.removesuffix("_") in _OF_RESULT):
        return first.dtype
    if name in _OF_RESULT and isinstance(result, TensorType):
        return result.dtype
    if name in _COMPARING and isinstance(number.type, PythonType):
        shape = [1] * len(first.shape)
        return torch.result_type(torch.empty(shape, dtype=first.dtype), _SAMPLES[number.type.python_type])
    return None

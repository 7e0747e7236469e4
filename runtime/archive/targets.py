"""The functions and classes that a saved program may name: operations of torch and of Python that act on data only.

What is not here can be neither saved nor loaded, so that an archive can't have anything else called: no files, no
imports, no attributes by a text.
"""

from __future__ import annotations

import builtins
import math
import operator
import warnings
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch
from torch.overrides import get_overridable_functions, resolve_name

from d2s.runtime.errors import D2SError
from d2s.runtime.foreign.devices import device_type
from d2s.runtime.ir.names import qualified_name
from d2s.runtime.operators.orders import sorted_positions
from d2s.runtime.operators.sequences import range_length
from d2s.runtime.operators.shown import join_text
from d2s.runtime.recording.attempts import attempt
from d2s.runtime.recording.exceptions import chain_exception, remake_exception
from d2s.runtime.recording.gradients import has_gradient
from d2s.runtime.recording.lists import list_position
from d2s.runtime.recording.numbers import real_power
from d2s.runtime.recording.outputs import same
from d2s.runtime.recording.rules import expect_no_node
from d2s.runtime.recording.tables import items_of, keys_of, values_of

# Operations that torch's protocol for overriding does not list: they take no tensor, or only change its meaning.
_MORE_OF_TORCH = """
arange as_tensor asarray bartlett_window blackman_window broadcast_shapes can_cast empty empty_permuted empty_strided
eye fill full get_default_dtype hamming_window hann_window is_tensor kaiser_window linspace logspace normal ones
promote_types rand rand_like randint randint_like randn randn_like randperm range result_type scalar_tensor tensor
tril_indices triu_indices vander zeros sparse_coo_tensor sparse_csr_tensor Size _assert_async _is_all_true
_is_any_true linalg.LinAlgError
autograd.grad autograd.backward nn.Parameter nn.Buffer nn.utils.rnn.pad_sequence fft.fftfreq fft.rfftfreq
nn.functional.tanh nn.functional.sigmoid nn.functional.hardsigmoid nn.functional.hardswish nn.functional.upsample
nn.functional.upsample_nearest nn.functional.upsample_bilinear
""".split()
_MORE_OF_TENSORS = """
__delitem__ as_strided new new_empty new_full new_ones new_tensor new_zeros new_empty_strided stride to_sparse_csr
to_sparse_csc to_sparse_bsr to_sparse_bsc to_sparse_coo unflatten to_padded_tensor
grad.__set__ grad.__delete__ data.__set__ requires_grad.__set__ real.__set__ imag.__set__
""".split()
# What reaches memory, files, hooks or Python's own machinery.
_NEVER = frozenset(
    """
    apply_ map_ map2_ module_load register_hook register_post_accumulate_grad_hook
    storage storage_type untyped_storage share_memory_ set_ data_ptr to_dlpack from_dlpack numpy from_numpy frombuffer
    from_file
    __array__ __array_wrap__ __deepcopy__ __dlpack__ __dlpack_device__ __format__ __reduce_ex__ __repr__ __setstate__
    __cuda_array_interface__.__get__ name.__get__ volatile.__get__
    """.split()
)
_BUILTINS = """
abs all any bin bool bytes chr complex dict divmod enumerate filter float format frozenset hex int isinstance iter len
list map max min next oct ord pow print range repr reversed round set slice sorted str sum tuple zip
""".split()
_NOT_OF_OPERATOR = frozenset({"attrgetter", "itemgetter", "methodcaller", "call"})
_CLASSES: tuple[type, ...] = (list, dict, set, frozenset, tuple, str, bytes, int, float, complex, bool)
_COLLECTIONS: tuple[type, ...] = (
    deque,
    OrderedDict,
    Counter,
    defaultdict,
)
# A text can name attributes of what it formats.
_NOT_OF_CLASSES = frozenset({"format", "format_map", "maketrans", "translate", "fromkeys"})
_DUNDERS = frozenset(
    """
    __add__ __and__ __contains__ __delitem__ __eq__ __ge__ __getitem__ __gt__ __iadd__ __iand__ __imul__ __ior__
    __isub__ __iter__ __ixor__ __le__ __len__ __lt__ __mod__ __mul__ __ne__ __or__ __rmul__ __ror__ __setitem__
    __sub__ __xor__ __floordiv__ __truediv__ __pow__ __neg__ __abs__ __bool__ __int__ __float__ __str__ __repr__
    __round__ __trunc__ __floor__ __ceil__ __reversed__
    """.split()
)

_OF_D2S = (
    attempt,
    chain_exception,
    device_type,
    expect_no_node,
    has_gradient,
    items_of,
    join_text,
    keys_of,
    list_position,
    range_length,
    real_power,
    remake_exception,
    same,
    sorted_positions,
    values_of,
)


def name_of(target: Any) -> str | None:
    """What a saved program calls a function or a class; None for one that it can't name."""
    try:
        return _by_function().get(target)
    except TypeError:
        return None


def named(name: str) -> Any:
    """The function or class of this name.

    Raises:
        KeyError: a saved program may name none such.
    """
    return _by_name()[name]


@cache
def _by_name() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, function in (*_of_torch(), *_of_python(), *_of_d2s()):
        found.setdefault(name, function)
    return found


@cache
def _by_function() -> dict[Any, str]:
    names = _by_name()
    found: dict[Any, str] = {}
    for name, function in names.items():
        usual = qualified_name(function)
        found.setdefault(function, usual if usual is not None and names.get(usual) == function else name)
    return found


def _of_torch() -> Iterator[tuple[str, Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of functions that are deprecated
        functions = [function for group in get_overridable_functions().values() for function in group]
        listed = [(resolve_name(function), function) for function in functions]
    for name, function in listed:
        if name is not None and _is_public(name):
            yield name, function
    for name in _MORE_OF_TORCH:
        yield f"torch.{name}", operator.attrgetter(name)(torch)
    for name, kind in vars(torch.return_types).items():
        if isinstance(kind, type):
            yield f"torch.return_types.{name}", kind
    for name in dir(torch.nn.init):
        if name.endswith("_") and not name.startswith("_"):
            yield f"torch.nn.init.{name}", getattr(torch.nn.init, name)
    for name in _MORE_OF_TENSORS:
        yield f"torch.Tensor.{name}", operator.attrgetter(name)(torch.Tensor)


def _is_public(name: str) -> bool:
    parts = name.split(".")
    if ".".join(parts[2:]) in _NEVER or parts[-1] in _NEVER:
        return False
    return not any(part.startswith("_") and not part.startswith("__") for part in parts)


def _of_python() -> Iterator[tuple[str, Any]]:
    for name in _BUILTINS:
        yield name, getattr(builtins, name)
    for name, thing in vars(builtins).items():
        if isinstance(thing, type) and issubclass(thing, Exception):
            yield name, thing
    yield "warnings.warn", warnings.warn
    for place in (operator, math):
        for name, function in vars(place).items():
            if callable(function) and not name.startswith("_") and name not in _NOT_OF_OPERATOR:
                yield f"{place.__name__}.{name}", function
    for kind in _COLLECTIONS:
        yield f"collections.{kind.__name__}", kind
    for cls in _CLASSES + _COLLECTIONS:
        prefix = "collections." if cls in _COLLECTIONS else ""
        for name in dir(cls):
            method = getattr(cls, name)
            is_known = name in _DUNDERS if name.startswith("_") else name not in _NOT_OF_CLASSES
            if is_known and callable(method):
                yield f"{prefix}{cls.__name__}.{name}", method


def _of_d2s() -> Iterator[tuple[str, Any]]:
    """Functions of this package that stand for what Python does of itself."""
    yield "d2s.D2SError", D2SError
    for function in _OF_D2S:
        yield f"d2s.{function.__name__}", function

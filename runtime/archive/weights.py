"""The tensors of an archive: their numbers as safetensors, and what that format does not hold beside them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from d2s.runtime.archive.fields import Fields
from d2s.runtime.archive.trees import TensorOf, shown
from d2s.runtime.errors import D2SError, LoadError

_PARTS = {torch.complex128: torch.float64}


def encode_weights(tensors: Mapping[str, torch.Tensor]) -> tuple[dict[str, Any], bytes]:
    """What is to be known of the tensors, and their numbers.

    Raises:
        D2SError: a tensor is of a kind that can't be saved, or two of them share memory.
    """
    _refuse_shared(tensors)
    plain = {name: _plain(name, tensor) for name, tensor in tensors.items()}
    try:
        numbers = save_tensors(plain)
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise D2SError(f"the weights can't be saved: {error}") from error
    return {name: _known(tensor) for name, tensor in tensors.items()}, numbers


def _known(tensor: torch.Tensor) -> dict[str, Any]:
    known: dict[str, Any] = {"parameter": isinstance(tensor, torch.nn.Parameter)}
    if tensor.requires_grad and tensor.is_leaf:
        known["requires_grad"] = True
    if not tensor.is_contiguous():
        known["strides"] = list(tensor.stride())
    if tensor.device.type != "cpu":
        known["device"] = str(tensor.device)
    if tensor.dtype in _PARTS:
        known["dtype"] = str(tensor.dtype).removeprefix("torch.")
    return known


def _plain(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """The numbers of a tensor in a form that safetensors takes."""
    if (
        tensor.layout is not torch.strided
        or tensor.is_quantized
        or type(tensor) not in (torch.Tensor, torch.nn.Parameter)
    ):
        raise D2SError(f"{name} is a {_kind(tensor)}, which can't be saved: use a plain tensor")
    if tensor.is_meta:
        raise D2SError(f"{name} has no numbers: it is on the meta device")
    if not tensor.is_contiguous() and _order(tensor.shape, list(tensor.stride())) is None:
        raise D2SError(f"{name} is a view that leaves memory out, or repeats it: make it contiguous")
    data = tensor.detach().resolve_conj().resolve_neg().contiguous().cpu()
    return torch.view_as_real(data) if tensor.dtype in _PARTS else data


def _kind(tensor: torch.Tensor) -> str:
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        return type(tensor).__qualname__
    return f"tensor of layout {str(tensor.layout).removeprefix('torch.')}"


def _refuse_shared(tensors: Mapping[str, torch.Tensor]) -> None:
    """Go on only if each tensor has memory of its own: what writes to one would write to the other."""
    spans: list[tuple[int, int, int, str]] = []
    for name, tensor in tensors.items():
        if tensor.layout is torch.strided and not tensor.is_meta and tensor.numel():
            last = sum((size - 1) * step for size, step in zip(tensor.shape, tensor.stride(), strict=True))
            start = tensor.data_ptr()
            spans.append((hash(tensor.device), start, start + (last + 1) * tensor.element_size(), name))
    spans.sort()
    for (device, _, end, name), (other_device, start, _, other) in pairwise(spans):
        if device == other_device and start < end:
            raise D2SError(f"{name} and {other} share memory, which an archive can't keep: clone one of them")


def decode_weights(known: Any, numbers: bytes) -> dict[str, torch.Tensor]:
    """The tensors of an archive.

    Raises:
        LoadError: they are damaged, or not those that are to be there.
    """
    try:
        plain = load_tensors(numbers)
    except Exception as error:  # whatever a damaged file makes of the library
        raise LoadError(f"the weights are damaged: {error}") from error
    table = dict(known) if type(known) is dict else {}
    if table.keys() != plain.keys():
        other = sorted(table.keys() ^ plain.keys())
        raise LoadError(f"the weights are not those of the programs: {shown(other[0] if other else None)}")
    return {name: _tensor(name, plain[name], Fields(one, f"the weight {shown(name)}")) for name, one in table.items()}


def lookup(tensors: Mapping[str, torch.Tensor]) -> TensorOf:
    """What gives the weight of a name; raises LoadError for one that is none."""

    def tensor_of(key: Any) -> torch.Tensor:
        if type(key) is not str or key not in tensors:
            raise LoadError(f"{shown(key)} is none of the weights")
        return tensors[key]

    return tensor_of


def _tensor(name: str, data: torch.Tensor, known: Fields) -> torch.Tensor:
    try:
        if known.optional("dtype", str) is not None:
            data = torch.view_as_complex(data)
        data = data.to(known.optional("device", str) or "cpu")
        strides = known.optional("strides", list)
        if strides is not None:
            data = _strided(data, strides)
        requires_grad = bool(known.optional("requires_grad", bool))
        if known.get("parameter", bool):
            return torch.nn.Parameter(data, requires_grad)
        return data.clone().requires_grad_(requires_grad)
    except (RuntimeError, TypeError, AssertionError) as error:
        raise LoadError(f"the weight {shown(name)} can't be made: {str(error).partition(chr(10))[0]}") from error


def _strided(data: torch.Tensor, strides: list[Any]) -> torch.Tensor:
    """The same numbers with these strides."""
    order = _order(data.shape, strides)
    if order is None:
        raise LoadError("the strides of a weight are none")
    return data.permute(order).contiguous().permute([order.index(dimension) for dimension in range(len(order))])


def _order(shape: torch.Size, strides: list[Any]) -> list[int] | None:
    """The dimensions from the outermost in memory to the innermost; None if there is memory between, or repeated."""
    if len(strides) != len(shape) or not all(type(step) is int for step in strides):
        return None
    order = sorted(range(len(shape)), key=lambda dimension: (-strides[dimension], dimension))
    expected = 1
    for dimension in reversed(order):
        if shape[dimension] != 1 and strides[dimension] != expected:
            return None
        expected *= max(shape[dimension], 1)
    return order

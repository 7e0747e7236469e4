"""The layers of `torch.nn` that can be told from calls of their functions, and what their constructors took."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.standalone.module import Part

# The options of a constructor, or the arguments of a function, by name.
Options = dict[str, Any]


@dataclass(frozen=True)
class LayerKind:
    """A class of layers: the function that it calls, what that takes, and what its constructor takes for it."""

    function: Callable[..., Any]
    takes: str
    options: Callable[[Options, Part], Options]


def _linear(given: Options, part: Part) -> Options:
    out_features, in_features = _shape(part, "weight")
    return {"in_features": in_features, "out_features": out_features, "bias": _has(part, "bias")}


def _convolution(given: Options, part: Part) -> Options:
    out_channels, in_channels, *size = _shape(part, "weight")
    channels = {"in_channels": in_channels * given.get("groups", 1), "out_channels": out_channels}
    return {**channels, **_of_convolution(given, part, size)}


def _transposed(given: Options, part: Part) -> Options:
    in_channels, out_channels, *size = _shape(part, "weight")
    channels = {"in_channels": in_channels, "out_channels": out_channels * given.get("groups", 1)}
    return {**channels, **_of_convolution(given, part, size)}


def _embedding(given: Options, part: Part) -> Options:
    count, size = _shape(part, "weight")
    names = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
    others = {name: given[name] for name in names if name in given}
    padding = others.get("padding_idx", -1)
    return {
        "num_embeddings": count,
        "embedding_dim": size,
        **others,
        "padding_idx": None if padding == -1 else padding,
    }


def _layer_norm(given: Options, part: Part) -> Options:
    shape = given["normalized_shape"]
    options = {"normalized_shape": shape[0] if len(shape) == 1 else tuple(shape), "eps": given.get("eps", 1e-5)}
    return {
        **options,
        "elementwise_affine": _has(part, "weight"),
        "bias": _has(part, "bias") or not _has(part, "weight"),
    }


def _rms_norm(given: Options, part: Part) -> Options:
    options = {"normalized_shape": _short(given["normalized_shape"]), "eps": given.get("eps")}
    return {**options, "elementwise_affine": _has(part, "weight")}


def _group_norm(given: Options, part: Part) -> Options:
    channels = {"num_groups": given["num_groups"], "num_channels": _shape(part, "weight")[0]}
    return {**channels, "eps": given.get("eps", 1e-5)}


def _batch_norm(given: Options, part: Part) -> Options:
    options = {"num_features": _shape(part, "running_mean")[0], "affine": _has(part, "weight")}
    return {**options, "eps": given.get("eps", 1e-5), "momentum": given.get("momentum", 0.1)}


_CONVOLVES = "input weight bias stride padding dilation groups"
_TRANSPOSES = "input weight bias stride padding output_padding groups dilation"
_LOOKS_UP = "input weight padding_idx max_norm norm_type scale_grad_by_freq sparse"
_NORMALIZES = "input running_mean running_var weight bias training momentum eps"
KINDS = {
    "Linear": LayerKind(F.linear, "input weight bias", _linear),
    **{f"Conv{n}d": LayerKind(getattr(torch, f"conv{n}d"), _CONVOLVES, _convolution) for n in (1, 2, 3)},
    **{
        f"ConvTranspose{n}d": LayerKind(getattr(torch, f"conv_transpose{n}d"), _TRANSPOSES, _transposed)
        for n in (1, 2, 3)
    },
    "Embedding": LayerKind(F.embedding, _LOOKS_UP, _embedding),
    "LayerNorm": LayerKind(F.layer_norm, "input normalized_shape weight bias eps", _layer_norm),
    "RMSNorm": LayerKind(F.rms_norm, "input normalized_shape weight eps", _rms_norm),
    "GroupNorm": LayerKind(F.group_norm, "input num_groups weight bias eps", _group_norm),
    **{f"BatchNorm{n}d": LayerKind(F.batch_norm, _NORMALIZES, _batch_norm) for n in (1, 2, 3)},
}


def _shape(part: Part, name: str) -> tuple[int, ...]:
    return tuple(getattr(part, name).shape)


def _has(part: Part, name: str) -> bool:
    return getattr(part, name, None) is not None


def _of_convolution(given: Options, part: Part, size: list[int]) -> Options:
    names = ("stride", "padding", "output_padding", "dilation", "groups")
    others = {name: _of_dimensions(given[name]) for name in names if name in given}
    return {"kernel_size": _of_dimensions(size), **others, "bias": _has(part, "bias")}


def _of_dimensions(sizes: Any) -> Any:
    """One number for the same in all dimensions."""
    return sizes[0] if isinstance(sizes, list | tuple) and len(set(sizes)) == 1 else _short(sizes)


def _short(sizes: Any) -> Any:
    """One number for a single one."""
    if not isinstance(sizes, list | tuple):
        return sizes
    return sizes[0] if len(sizes) == 1 else tuple(sizes)


# What a part is called whose class is not known.
UNKNOWN = "Module"
# The kind of the layers whose function no others call.
ONLY_KIND = {
    kind.function: name
    for name, kind in KINDS.items()
    if [one.function for one in KINDS.values()].count(kind.function) == 1
}


def constructor(name: str, part: Part, options: Options) -> str | None:
    """What makes a layer with these options; None if its tensors would not be those of the part."""
    cls = getattr(torch.nn, name)
    tensors = [*part.parameters(), *part.buffers()]
    dtype = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
    if _outline(cls(**options, dtype=dtype, device="meta")) != _outline(part):
        return None
    defaults = {name: one.default for name, one in inspect.signature(cls).parameters.items()}
    words = [repr(value) for name, value in options.items() if defaults[name] is inspect.Parameter.empty]
    words += [f"{name}={value!r}" for name, value in options.items() if defaults[name] not in (value, inspect._empty)]
    words += [] if dtype is torch.float32 else [f"dtype={dtype}"]
    return f"nn.{name}({', '.join(words)})"


def _outline(module: torch.nn.Module) -> dict[str, tuple[torch.Size, torch.dtype]]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}

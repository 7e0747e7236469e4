"""Operators whose public function takes its arguments otherwise."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.foreign.uses import Called, Operator
from d2s.runtime.operators.sequences import range_length

_ENDLESS = 2**63 - 1
_REDUCTIONS = ("none", "mean", "sum")


def _named(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that say something."""
    return {name: tree for name, tree in given.items() if tree is not None}


def _slice(op: Operator) -> Called | None:
    if not op.on_tensor:
        source, start, end, step = (op.given[name] for name in ("l", "start", "end", "step"))
        return operator.getitem, (source, _bounds(start, end, step)), {}
    part = _bounds(op.given["start"], op.given["end"], op.given["step"])
    return _at_dimension(op, part)


def _at_dimension(op: Operator, part: Any) -> Called | None:
    """`x[:, part]`, or `x[..., part, :]`."""
    dim = op.given["dim"]
    if not isinstance(dim, int):
        return None
    whole = slice(None)
    index = (*([whole] * dim), part) if dim >= 0 else (..., part, *([whole] * (-dim - 1)))
    return torch.Tensor.__getitem__, (op.given["self"], part if dim == 0 else index), {}


def _bounds(start: Any, end: Any, step: Any) -> slice:
    return slice(
        None if start in (None, 0) and isinstance(start, int | None) else start,
        None if end is None or (isinstance(end, int) and end == _ENDLESS) else end,
        None if step is None or (isinstance(step, int) and step == 1) else step,
    )


def _select(op: Operator) -> Called | None:
    return _at_dimension(op, op.given["index"])


def _index(op: Operator) -> Called:
    parts = tuple(slice(None) if one is None else one for one in op.given["indices"])
    return torch.Tensor.__getitem__, (op.given["self"], parts[0] if len(parts) == 1 else parts), {}


def _index_put(op: Operator) -> Called | None:
    if op.get("accumulate"):
        return None
    parts = tuple(slice(None) if one is None else one for one in op.given["indices"])
    where = parts[0] if len(parts) == 1 else parts
    return torch.Tensor.__setitem__, (op.given["self"], where, op.given["values"]), {}


def _convolution(op: Operator) -> Called:
    given = op.given
    dimensions = len(given["stride"])
    args = (given["input"], given["weight"], given["bias"], given["stride"], given["padding"])
    if given["transposed"]:
        target = getattr(torch, f"conv_transpose{dimensions}d")
        return target, (*args, given["output_padding"], given["groups"], given["dilation"]), {}
    return getattr(torch, f"conv{dimensions}d"), (*args, given["dilation"], given["groups"]), {}


def _batch_norm(op: Operator) -> Called:
    given = op.given
    names = ("weight", "bias", "training", "momentum", "eps")
    args = (given["input"], given["running_mean"], given["running_var"])
    return F.batch_norm, args, {name: given[name] for name in names}


def _layer_norm(op: Operator) -> Called:
    given = op.given
    shape = given["normalized_shape"]
    args = (given["input"], tuple(shape) if isinstance(shape, list) else shape)
    return F.layer_norm, args, {name: given[name] for name in ("weight", "bias", "eps")}


def _group_norm(op: Operator) -> Called:
    given = op.given
    args = (given["input"], given["num_groups"])
    return F.group_norm, args, {name: given[name] for name in ("weight", "bias", "eps")}


def _embedding(op: Operator) -> Called:
    given = op.given
    padding = given.get("padding_idx", -1)
    others = {"padding_idx": None if padding == -1 else padding, "scale_grad_by_freq": op.get("scale_grad_by_freq")}
    return F.embedding, (given["indices"], given["weight"]), _named({**others, "sparse": op.get("sparse")})


def _dropout(op: Operator) -> Called:
    given = op.given
    target = getattr(F, op.name.rstrip("_"))
    others = {"inplace": True} if op.name.endswith("_") else {}
    return target, (given["input"],), {"p": given["p"], "training": given["train"], **others}


def _pool(op: Operator) -> Called:
    given = {name: tree for name, tree in op.given.items() if name not in op.left_out}
    source = given.pop("self")
    return getattr(F, op.name.removesuffix("_with_indices")), (source, given.pop("kernel_size")), given


def _adaptive(op: Operator) -> Called:
    return getattr(F, op.name), (op.given["self"], op.given["output_size"]), {}


def _loss(op: Operator) -> Called | None:
    reduction = op.given.get("reduction", 1)
    if not isinstance(reduction, int):
        return None
    given = {name: tree for name, tree in op.given.items() if name not in (*op.left_out, "reduction")}
    name = {"cross_entropy_loss": "cross_entropy", "nll_loss_nd": "nll_loss"}.get(op.name, op.name)
    others = {} if reduction == 1 else {"reduction": _REDUCTIONS[reduction]}
    args = (given.pop("self"), given.pop("target"))
    return getattr(F, name), args, {**given, **others}


def _tensor(op: Operator) -> Called:
    others = {name: op.get(name) for name in ("dtype", "device")}
    asks = {"requires_grad": True} if op.get("requires_grad") else {}
    return torch.tensor, (op.given.get("data", op.given.get("t")),), {**_named(others), **asks}


def _to(op: Operator) -> Called:
    given = {name: tree for name, tree in op.given.items() if name not in op.left_out and tree is not None}
    given.pop("layout", None)
    given.pop("pin_memory", None)
    places = [given.pop(name) for name in ("self", "other", "device", "dtype") if name in given]
    return torch.Tensor.to, tuple(places), given


def _range_length(op: Operator) -> Called:
    return range_length, tuple(op.given.values()), {}


def _rsub(op: Operator) -> Called | None:
    return None if op.get("alpha") else (torch.Tensor.__rsub__, (op.given["self"], op.given["other"]), {})


def _plain(target: Callable[..., Any]) -> Callable[[Operator], Called]:
    """A function that takes its arguments as the operator does, by position."""
    return lambda op: (target, tuple(tree for name, tree in op.given.items() if name not in op.left_out), {})


def _attribute(name: str) -> Callable[[Operator], Called]:
    return _plain(getattr(torch.Tensor, name).__get__)


_POOLS = (
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool2d_with_indices",
)
_ADAPTIVE = [f"adaptive_{kind}_pool{n}d" for kind in ("avg", "max") for n in (1, 2, 3)]
_LOSSES = """
mse_loss l1_loss smooth_l1_loss huber_loss cross_entropy_loss nll_loss nll_loss_nd binary_cross_entropy
binary_cross_entropy_with_logits kl_div soft_margin_loss
""".split()
SPECIAL: dict[str, Callable[[Operator], Called | None]] = {
    "slice": _slice,
    "select": _select,
    "index": _index,
    "index_put_": _index_put,
    "_convolution": _convolution,
    "convolution": _convolution,
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "embedding": _embedding,
    **dict.fromkeys(("dropout", "dropout_", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), _dropout),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_ADAPTIVE, _adaptive),
    **dict.fromkeys(_LOSSES, _loss),
    "linear": _plain(F.linear),
    **dict.fromkeys(("lift_fresh", "lift_fresh_copy"), _plain(torch.Tensor.clone)),
    "tensor": _tensor,
    "to": _to,
    "__range_length": _range_length,
    "rsub": _rsub,
    **{
        name: _attribute(name)
        for name in ("dtype", "device", "data", "is_cuda", "requires_grad", "grad", "is_sparse")
    },
}

"""Conditions and branches: what is asked, what the sides bind and return, and what they leave."""

from __future__ import annotations

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0])


@feature("a name that is None on one side", X, -X, grad=True)
def none_on_one_side(x):
    y = None
    if x.sum() > 0:
        y = x * 2
    return y if y is not None else x - 1, y is None


@feature("a name that only one side binds, read on the other", X, -X)
def bound_on_one_side(x):
    if x.sum() > 0:
        y = x * 2
    return y


@feature("returns of different types and lengths", X, -X, X * 0 - 1, ways=3)
def different_returns(x):
    if x.sum() > 0:
        return x, 1
    if x[1] < 0:
        return None
    return {"x": x}


@feature("functions, classes and texts chosen by a branch", X, -X, grad=True)
def chosen_things(x):
    if x.sum() > 0:
        function, name = torch.sin, "sine"
    else:
        function, name = torch.cos, "cosine"
    y = (nn.ReLU if x.sum() > 0 else nn.Tanh)()(function(x))
    return y, f"by {name}", name == "sine"


@feature("containers whose sides differ in length and keys", X, -X)
def different_containers(x):
    items, table = [x], {"a": x}
    if x.sum() > 0:
        items.append(x * 2)
        table["b"] = x * 3
    else:
        table["c"] = table.pop("a")
    return len(items), torch.stack(items).sum(), sorted(table), table


@feature("in, is, walrus, chained comparisons and not", X, -X, X * 0, ways=3)
def asked(x):
    found = x[0].item() in (1.0, 2.0), x is not None, not x.sum() > 0
    if (total := x.sum()) > 0 and (doubled := total * 2) > 3:
        return found, doubled
    return found, total, -3 < total < 1 != 0, x[0] > 0 or x[1] > 0


@feature("match on flags, alone and among alternatives", X, -X)
def matched_flags(x):
    match x.sum().item() > 0:
        case True:
            y = x + 1
        case False:
            y = x - 1
    match (x.sum() > 0).item(), int(x[0]):
        case (True | None, 1 | -1) as both:
            return y, both
        case [False as flag, k] if k < 0:
            return y, flag, k


@feature("match on flags in structures", X, -X)
def matched_flags_inside(x):
    found = [0]
    match {"on": bool(x[0] > 0), "v": x}:
        case {"on": True, "v": v} if v[1] > 5:
            found.append(3)
        case {"on": False, "v": v}:
            found.append(v)
    return found


@feature("match on shapes, numbers, sequences and mappings", X, -X)
def matched(x):
    match (x.dim(), x.shape):
        case (1, (n,)) if n > 1:
            y = x * n
        case _:
            y = x
    match {"scale": 2, "sum": x.sum().item()}:
        case {"scale": scale, "sum": total} if total > 0:
            y = y * scale
        case {"scale": scale, **rest}:
            y = y - scale - len(rest)
    match int(x[0]):
        case 1 | 2:
            return y, "small"
        case -1:
            return y, "negative"
    return y, "other"


@feature("nested ternaries and lambdas in branches", X, -X, X * 0, ways=3)
def nested_ternaries(x):
    y = x if x.sum() > 0 else (x - 2 if x[0] < 0 else x - 3)
    scale = (lambda v: v * 2) if x.sum() > 0 else (lambda v: v * 3)
    return scale(y)


@feature("sides that differ in shape, in rank and in dtype", X, -X, X * 0, ways=3)
def different_tensors(x):
    if x.sum() > 0:
        y = x[:2]
    elif x[0] < 0:
        y = x.reshape(1, 3)
    else:
        y = (x > 0).long()
    return y + 1, y.dim(), y.dtype


@feature("a condition on a size that only the run knows", X, -X, X * 0, ways=3)
def on_sizes(x):
    kept = x[x > 0]
    if kept.numel() > 1:
        return kept.std(), kept.shape[0]
    if len(kept) == 1:
        return kept[0], 1
    return torch.zeros(()), 0

"""Tensors: written in place, through views and masks; of shapes that depend on data; as numbers and lists."""

from __future__ import annotations

import math

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


@feature("in-place operations and views, on one side and in a loop", X, -X)
def in_place(x):
    y = x.clone()
    first = y[:1]
    if x.sum() > 0:
        first += 10
    else:
        y[1] = first[0] * 3
    column = y.view(1, 3).t()
    for i in range(3):
        column[0] += i
        if y.sum() > 4:
            column[1] *= 2
    return y, first


@feature("two names for one tensor that only one side rebinds", X, -X)
def two_names(x):
    y = x.clone()
    z = y
    if x.sum() > 0:
        z += 1
    else:
        z = z - 1
    return y, z


@feature("out=", X, -X)
def into_out(x):
    out = torch.empty(3)
    torch.add(x, 1, out=out)
    if x.sum() > 0:
        torch.mul(out, 2, out=out)
    return out


@feature("masks, nonzero and unique, and shapes that follow from them", X, -X, X * 0, ways=3)
def masks(x):
    y = x.clone()
    y[y > 0] = 0
    y[x < 0] *= -1
    kept = x[x > 0]
    positions = torch.nonzero(x > 0).squeeze(1)
    return y, kept.sum(), kept.shape, x.new_zeros(3).index_add(0, positions, kept), torch.unique(x > 0), positions


@feature("items written at positions of every kind", X, -X)
def items_written(x):
    y = torch.zeros(3, 3)
    y[0] = 1
    y[:, 1] = x.sum()
    y[1, 1] += x[0]
    y[[0, 2]] = 2
    y[y > 1] *= 3
    y[int(x[0].abs()) % 3] = 9
    y[x.argmax(), 0] = 5
    return y


@feature("item, tolist, int and math of values, and sizes made of them", X, -X)
def numbers(x):
    k, top = int(x.abs().sum()), x.argmax().item()
    found = x[top], math.floor(x.max().item()), math.sqrt(abs(x.sum().item())), round(x.sum().item(), 1), divmod(k, 4)
    made = torch.zeros(k), torch.arange(k), torch.full((2,), x.sum().item()), torch.tensor(x.tolist())
    return found, made, x.repeat(k).shape, (x > 0).any().item()


@feature("split, chunk, unbind, sort, topk and their many results", X, -X, grad=True)
def many_results(x):
    a, *rest = x.unbind()
    values, positions = x.sort(descending=True)
    top, _ = x.topk(2)
    return a * rest[0], values, positions, top, x.max(0).values, torch.stack(torch.split(x, 1)).sum(), x.chunk(2)[1]


@feature("kinds, devices and layouts", X, -X)
def kinds(x):
    y = x.double() if x.sum() > 0 else x.to(torch.float64)
    return y, y.dtype, y.device.type, x.is_contiguous(), x[None].t().stride(), x.type(), torch.is_tensor(x), x.dim()

"""State that a call leaves: globals, nonlocals, attributes of modules, of plain objects and of classes."""

from __future__ import annotations

import torch
from language import feature
from torch import Tensor, nn

X = torch.tensor([1.0, -2.0, 3.0])
_calls = 0
_log: list[Tensor] = []
_table: dict[str, Tensor] = {}


@feature("a global counter written under a tensor condition", X, -X)
def global_counter(x):
    global _calls
    _calls = 0
    for _ in range(3):
        if x.sum() > 0:
            _calls += 1
        x = x - 1
    return x * _calls, _calls


@feature("a nonlocal number and tensor written in a branch", X, -X)
def nonlocals(x):
    count, total = 0, torch.zeros(3)

    def add(y):
        nonlocal count, total
        if y.sum() > 0:
            count += 1
            total = total + y
        return y * 2

    x = add(x)
    add(-x + 1)
    return total, count


@feature("an attribute that the first call creates", X, -X, X, programs=2)
class Lazy(nn.Module):
    def forward(self, x):
        if not hasattr(self, "scale"):
            self.scale = torch.ones(3) * 2
        if x.sum() > 0:
            self.last = x
        else:
            self.last = -x
        return x * self.scale


@feature("attributes that are a counter, a list and a dict", X, -X, X)
class Kept(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 0
        self.history = []
        self.best = {}
        self.register_buffer("mean", torch.zeros(3))

    def forward(self, x):
        self.count = 1
        self.history = [x.sum()]
        self.best = {}
        if x.sum() > 0:
            self.count += 1
            self.history.append(x.mean())
            self.best["up"] = x
            self.mean.mul_(0.9).add_(x, alpha=0.1)
        return x * self.count + self.mean


@feature("a buffer assigned anew under a condition", X, -X, X)
class Buffered(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.tensor(0))

    def forward(self, x):
        if x.sum() > 0:
            self.steps = self.steps + 1
        return x * self.steps


class Config:
    scale = 2.0
    seen = None


@feature("a class variable read and written", X, -X, programs=2)
def class_variable(x):
    Config.seen = None
    if x.sum() > 0:
        Config.seen = x.sum()
    y = x * Config.scale
    return y if Config.seen is None else y + Config.seen


class Cell:
    def __init__(self, size):
        self.h = torch.zeros(size)
        self.n = 0

    def step(self, x):
        self.h = torch.tanh(self.h + x)
        if self.h.sum() > 1:
            self.n += 1
            self.reset()
        return self.h

    def reset(self):
        self.h = self.h * 0


@feature("an object made in the call, written in a loop", (X, torch.tensor(3)), (-X, torch.tensor(5)))
def own_object(x, n):
    cell = Cell(3)
    for _ in range(n):
        cell.step(x)
    return cell.h, cell.n


@feature("a global list that grows, a global dict that is filled", X, -X, programs=2)
def global_containers(x):
    _log.clear()
    _table.clear()
    _log.append(x)
    if x.sum() > 0:
        _log.append(x * 2)
        _table["double"] = x * 2
    else:
        _table["half"] = x / 2
    return sum(_log), len(_log), sorted(_table)


@feature("setattr and getattr with names from a loop", X, -X)
class Named(nn.Module):
    def __init__(self):
        super().__init__()
        for i in range(3):
            setattr(self, f"layer{i}", nn.Linear(3, 3))

    def forward(self, x):
        for i in range(3):
            y = getattr(self, f"layer{i}")(x)
            if y.sum() > 0:
                x = y
            setattr(self, f"out{i}", x)
        return x


@feature("a deleted attribute and a deleted key", X, -X)
class Deleting(nn.Module):
    def forward(self, x):
        self.tmp = x * 2
        cache = {"a": x, "b": -x}
        if x.sum() > 0:
            del cache["a"]
        y = self.tmp + sum(cache.values())
        del self.tmp
        return y, cache

"""Loops: over what, how they are left, and what they carry."""

from __future__ import annotations

import collections
import contextlib

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0])


@feature("while on a tensor, with else", X, X + 20, -X, ways=3, grad=True)
def while_else(x):
    n = 0
    while n < 5 and (x > 0).any():
        x = x - 1
        n += 1
    else:
        n = -n
    return x, n


@feature("break, continue and return at several depths", X, -X, X + 3, ways=3)
def left_at_depths(x):
    y = x
    for _ in range(2):
        for j in range(3):
            if y.sum() > 10:
                break
            y = y + j
            if j == 1:
                continue
            if y[0] < -1:
                return y, "early"
            y = y * 1.5
        else:
            y = y - 1
            continue
        break
    return y, "late"


@feature("a loop left through with and try", X, -X)
def through_managers(x):
    log = []
    for i in range(4):
        with contextlib.nullcontext():
            try:
                if x.sum() * i > 3:
                    break
                x = x + 0.5
            finally:
                log.append(i)
    return x, log


@feature("enumerate with a start, zip, reversed, rows and ranges", X, -X, grad=True)
def over_sequences(x):
    total = torch.zeros(())
    for i, (a, b) in enumerate(zip(x, reversed(x), strict=True), start=1):
        total = total + (a * b * i if a > b else a - b)
    for row in x.outer(x):
        total = total + row.max()
    for k in range(int(x.abs().sum()), 0, -2):
        total = total + k
    return total


@feature("carried None, numbers, tuples, lists and dicts", X, -X, X + 20, ways=3)
def carried(x):
    best, position, pair, seen, table = None, -1, (0, x), [], {"n": 0}
    while x.abs().sum() < 40:
        total = x.sum()
        if best is None or total > best:
            best, position = total, table["n"]
        pair = (pair[0] + 1, x)
        seen.append(total)
        table["n"] += 1
        x = x * 2
    return best, position, pair, len(seen), table


@feature("shapes that grow and shrink", X, -X)
def changing_shapes(x):
    y = x
    for _ in range(int(x.max())):
        y = torch.cat([y, y[:1]])
    count = y.shape[0]
    while y.shape[0] > 1:
        y = y[::2]
    return y, count


@feature("a stack and a queue that empty", X, X * 5)
def emptied(x):
    stack, done = [x], []
    while stack:
        value = stack.pop()
        if value.abs().max() > 2:
            stack.append(value / 2)
        else:
            done.append(value)
    queue = collections.deque([(x, 0)])
    while len(queue) > 0:
        value, depth = queue.popleft()
        if value.abs().sum() > 20 or depth >= 4:
            break
        queue.append((value * 2, depth + 1))
    return done, value, depth


@feature("a loop over modules and items of a dict, left when it settles", X, X * 0, grad=True)
class Layers(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(3))
        self.named = nn.ModuleDict({"first": nn.Linear(3, 3), "second": nn.Tanh()})

    def forward(self, x):
        for layer in self.layers:
            y = torch.tanh(layer(x))
            if (y - x).abs().max() < 0.9:
                break
            x = y
        for name, layer in self.named.items():
            if name == "second" or x.sum() > 0:
                x = layer(x)
        return x


@feature("nested loops on tensors, and a matrix that they fill", X, -X)
def filled(x):
    matrix = torch.zeros(3, 3)
    i = torch.tensor(0)
    while i < 3:
        j = torch.tensor(0)
        while j <= i:
            matrix[i, j] = (i * 3 + j) * x[0]
            j = j + 1
        i += 1
    return matrix


@feature("a recurrent cell that stops when it is sure", X, X * 0.01, grad=True)
def recurrent(x):
    hidden, outputs = torch.zeros(3), []
    for _ in range(4):
        hidden = torch.tanh(hidden + x)
        outputs.append(hidden)
        if hidden.abs().max() > 0.99:
            break
    return torch.stack(outputs).sum(0), hidden, len(outputs)


class Box:
    n = 0


@feature("a long loop that writes an object and is left", X, -X, X * 3, ways=3)
def left_with_an_object(x):
    box, seen = Box(), {"last": -1}
    for i in range(40):
        x = x + 1
        box.n = i
        seen["last"] = i
        if x.sum() > 20:
            break
    return x, box.n, seen


@feature("a long loop that writes an item and returns", X, -X, X * 3, ways=3)
def returned_with_an_item(x):
    at = {"last": -1}
    for i in range(30):
        x = x * 1.5
        at["last"] = i
        if x.norm() > 20:
            return x, at
    return -x, at


@feature("a container in another, both written under a condition", X, -X, X * 3, ways=2)
def nested_containers(x):
    inner = {"score": x.sum()}
    outer = [inner, 0, (inner, [1])]
    for i in range(20):
        score = (x * i).sum()
        if score > inner["score"]:
            inner["score"] = score
            outer[1] += 1
            outer[2][1][0] += i
    return outer


class Entry:
    def __init__(self, value):
        self.value = value


best: object = Entry(torch.zeros(()))


def read_best():
    return best


@feature("an object that each trip makes anew, in a variable and in a global", X, -X, X * 3, ways=3)
def renewed(x):
    global best
    entry, total = Entry(x.sum()), [x.sum(), 0]
    while total[0] < 5:
        entry = Entry(entry.value + 1)
        best = Entry(x)
        pair = [entry.value * 2]
        pair.append(total[1] + 1)
        total = pair
        x = read_best().value + 1
    return x, entry, total

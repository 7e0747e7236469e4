"""Names that stand for the same memory, across branches, loops and lists."""

import torch
from language import feature

ONE = torch.tensor(1.0)


def n(value):
    return torch.tensor(value)


@feature("a write through another name that an `if` may have given", (ONE, n(1)), (ONE, n(-1)))
def written_after_if(x, c):
    a = x.clone()
    if c > 0:
        y = a
    else:
        y = a.clone()
    if y:
        a.zero_()
        return y, 1 if y else 2
    return y, 3


@feature("a write through an item of a list", (ONE, n(2)), (ONE, n(0)))
def written_in_list(x, c):
    items = []
    while c > 0:
        items.append(x.clone())
        c = c - 1
    y = x.clone()
    items.append(y)
    if y:
        items[-1].zero_()
        return len(items), y, 1 if y else 2
    return len(items), y, 3


@feature("the truth of a list that changes", (ONE, n(2)), (ONE, n(0)), (ONE, n(1)))
def emptied(x, c):
    items = []
    while c > 0:
        items.append(x)
        c = c - 1
    steps = 0
    if items:
        items.pop()
        if items:
            items.clear()
            steps = 1 if items else 2
        else:
            steps = 3
    return items, steps

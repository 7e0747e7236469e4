"""Items at positions and keys that only the run knows."""

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0])


def n(value):
    return torch.tensor(value)


@feature(
    "an item of a list at a position from a tensor", (X, n(0)), (X, n(2)), (X, n(-1)), (X, n(5)), ways=3, grad=True
)
def item_of_list(x, i):
    parts = [x, x * 2, x + 1]
    weights = (0.5, 2.0, 4.0)
    return parts[i] * weights[int(i)], parts[i.item()]


@feature("a slice of a list up to a tensor that is no position", (X, n(1)), (X, n(2)))
def slice_up_to_a_float(x, i):
    return [x, x, x][: x[i]]


@feature("slices of lists and tuples up to a number from a tensor", (X, n(1)), (X, n(2)), (X, n(0)))
def slice_of_list(x, i):
    parts = [x, x * 2, x + 1]
    k = int(i)
    rest = parts[k:]
    return parts[:i], rest[0], len(rest), (x, x, x)[:k], parts[::-1]


@feature("a layer chosen by a number from a tensor", (X, n(0)), (X, n(1)), (X, n(2)), ways=3)
class ChosenLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(3, size) for size in (3, 3, 2))

    def forward(self, x, i):
        return self.layers[int(i)](x)


@feature("an item of a dict at a key from a tensor", (X, n(0)), (X, n(7)), (X, n(3)), ways=3)
def item_of_dict(x, i):
    table = {0: 0.5, 7: 3.0}
    return x * table[i.item()]


@feature("a list of functions", (X, n(0)), (X, n(1)))
def function_of_list(x, i):
    return [torch.sin, torch.relu][i](x)

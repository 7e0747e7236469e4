"""torch's own forms of control flow."""

import torch
from functorch.experimental.control_flow import map
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


@feature("`torch.cond`, also over variables from outside", X, -X, grad=True)
def with_cond(x):
    scale = x.max()
    y = torch.cond(x.sum() > 0, lambda v: v * scale, lambda v: v - scale, (x,))
    return torch.cond(x.shape[0] > 2, lambda: y + 1, lambda: y)


@feature("`map` of functorch", X, -X)
def with_map(x):
    def row(v, bias):
        if v > 0:
            return v * 2 + bias
        return v - bias

    return torch.stack([row(v, x.sum()) for v in x]), map(lambda v, w: v * w, x, x.sum())

"""Torch's function transforms: gradients, Jacobians, products with them, and functions of one sample for many."""

from __future__ import annotations

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0])


def bent(x):
    return (x**3).sum() if x.sum() > 0 else (x**2).sum()


@feature("the gradient of a function that branches on its argument", X, -X, grad=True)
def gradient(x):
    y = torch.func.grad(bent)(x)
    return y * 2 if y.sum() > 20 else y


@feature("gradient and value, by a dict, with something beside", X, -X, grad=True)
def gradient_and_value(x):
    def loss(weights, inputs):
        scaled = weights["w"] * inputs
        return scaled.sum() if x.sum() > 0 else (scaled**2).sum(), scaled

    found, (value, scaled) = torch.func.grad_and_value(loss, has_aux=True)({"w": x}, x * 2)
    return found["w"], value, scaled


@feature("Jacobian and Hessian", X, -X, grad=True)
def jacobian(x):
    forward = torch.func.jacfwd(lambda v: v**2)(x)
    return torch.func.jacrev(lambda v: v**2 * v.sum())(x), torch.func.hessian(bent)(x), forward


@feature("vjp and jvp", X, -X)
def products(x):
    value, pull = torch.func.vjp(lambda v: v**2 if v.sum() > 0 else v**3, x)
    return value, pull(torch.ones(3))[0], *torch.func.jvp(torch.sin, (x,), (torch.ones(3),))


@feature("vmap of gradients by sample, with a weight from outside", X, -X, grad=True)
def by_sample(x):
    weight = x * 2 if x.sum() > 0 else x

    def loss(sample):
        return (sample**2 * weight).sum()

    samples = torch.stack([x, x + 1])
    return torch.vmap(torch.func.grad(loss))(samples), torch.vmap(torch.dot)(samples, samples)


@feature("vmap of a module over a batch, and functional_call", X, -X, grad=True)
class Batched(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        weights = {name: value * 2 for name, value in self.linear.named_parameters()}
        y = torch.func.functional_call(self.linear, weights, (x,))
        rows = torch.vmap(self.linear)(torch.stack([x, -x]))
        return rows if y.sum() > 0 else rows + y


@feature("a transform of a function that counts its calls", X, missing="it is tried on fakes", code="D2S405", ways=1)
def counting(x):
    count = 0

    def counted(v):
        nonlocal count
        count += 1
        return v * 2

    return torch.vmap(counted)(x), count

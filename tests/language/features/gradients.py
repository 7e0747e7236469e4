"""Gradients that are computed, read and used inside of the function: training steps."""

import torch
from language import feature
from torch import nn
from torch.utils.checkpoint import checkpoint

X = torch.tensor([1.0, -2.0, 3.0])


def weight():
    return torch.tensor([0.5, 2.0, -1.0], requires_grad=True)


def take_step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


@feature("a gradient taken away in a branch", X, -X)
def taken_away(x):
    w = weight()
    ((x * w).sum() ** 2).backward()
    if x.sum() > 0:
        w.grad = None
    return w.grad


@feature("a gradient that only one side of a branch computes", X, -X)
def computed_in_a_branch(x):
    w = weight()
    if x.sum() > 0:
        (x * w).sum().backward()
    return x if w.grad is None else w.grad


@feature("backward() of a loss that a branch chose, which may come to a tensor or not", X, -X)
def loss_of_a_branch(x):
    w, v = weight(), weight()
    loss = (x * w).sum() ** 2 if x.sum() > 0 else (x + w * v).sum()
    loss.backward()
    return w.grad, v.grad


@feature("a gradient that the first trip of a loop does not find, and the others do", X, X * 40, ways=1)
def found_by_later_trips(x):
    w = weight()
    found = 0
    size = x.abs().sum()
    while size < 100:
        if w.grad is not None:
            found += 1
        (x * w * size).sum().backward()
        size = size * 2
    return w.grad, found


@feature("gradient descent until the loss is small", X, X / 8, X * 3, ways=1)
def descent(x):
    w = weight()
    for step in range(40):
        loss = (x * w).sum() ** 2
        if loss < 1:
            break
        loss.backward()
        with torch.no_grad():
            w -= 0.01 * w.grad
            w.grad.zero_()
    return w.detach(), w.grad, step


@feature("the gradient of a tensor that a branch chose", X, -X)
def of_a_chosen_tensor(x):
    w, v = weight(), weight()
    p = w if x.sum() > 0 else v
    (w * x).sum().backward()
    return x if p.grad is None else p.grad * 2


@feature("a gradient set through one name and read by another", X, -X)
def set_by_another_name(x):
    w, v = weight(), weight()
    p = w if x.sum() > 0 else v
    p.grad = x * 2
    return x if w.grad is None else w.grad * 3


@feature("a gradient that a hook takes away", X, -X, ways=1)
def taken_by_a_hook(x):
    w = weight()

    def take(tensor):
        tensor.grad = None

    w.register_post_accumulate_grad_hook(take)
    (w * x).sum().backward()
    return x if w.grad is None else w.grad


@feature("torch.autograd.grad(allow_unused=True) after a branch", X, -X)
def unused(x):
    w, v = weight(), weight()
    loss = (x * w).sum() ** 2 if x.sum() > 0 else (x * v).sum()
    return torch.autograd.grad(loss, [w, v, weight()], allow_unused=True)


@feature("an optimizer with state made in the function, which stops early", X, X / 9, -X, ways=2)
def early_stop(x):
    w = weight()
    optimizer = torch.optim.SGD([w], lr=0.01, momentum=0.9)
    for _ in range(3):
        loss = (x * w).sum() ** 2
        if loss < 0.5:
            break
        take_step(optimizer, loss)
    return w.detach(), loss.detach()


@feature("an optimizer, in a loop on tensors", X, X / 9, X * 2, ways=1)
def optimized(x):
    w = weight()
    optimizer = torch.optim.SGD([w], lr=0.01)
    while True:
        loss = (x * w).sum() ** 2
        if loss < 1:
            break
        take_step(optimizer, loss)
    return w.detach(), w.grad


@feature("an optimizer of a module, with a loss that a branch chose", X, -X)
def optimized_module(x):
    net = nn.Linear(3, 1)
    with torch.no_grad():
        net.weight.copy_(weight())
        net.bias.zero_()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(2):
        y = net(x)
        loss = (y - 1).pow(2).mean() if y.sum() > 0 else y.abs().mean()
        take_step(optimizer, loss)
    return net.weight.detach(), loss.detach()


@feature("a reentrant checkpoint", X, -X, grad=True)
def checkpointed(x):
    w = weight()

    def block(v):
        return torch.tanh(v * w) if v.sum() > 0 else torch.sin(v - w)

    y = checkpoint(block, x, use_reentrant=True)
    return y * 2

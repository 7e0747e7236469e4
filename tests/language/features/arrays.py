"""Arrays of numpy's, among what is not computed with, and of what is."""

from __future__ import annotations

import copy

import numpy
import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


@feature("arrays and numbers of numpy's that are known", X, -X, grad=True)
def known(x):
    weights = numpy.array([1.0, 2.0, 3.0], dtype=numpy.float32)
    y = x * torch.from_numpy(weights) * numpy.float32(2) + numpy.pi
    if y.sum() > 0:
        y = y + torch.tensor(numpy.arange(3))
    return y * float(weights.sum())


@feature("a tensor made an array, and back", X, -X)
def round_trip(x):
    array = x.numpy()
    return (
        torch.from_numpy(array * 2),
        float(array.sum()),
        numpy.asarray(x).shape,
        torch.as_tensor(array[::-1].copy()),
    )


@feature("an array shares the memory of a tensor", X, -X)
def shared(x):
    array = x.numpy()
    array[0] = 5
    x.add_(1)
    y = torch.from_numpy(array)
    y.mul_(2)
    return x, array


@feature("copies of an array, which are written apart", X, -X)
def copied(x):
    array = x.numpy()
    first, second = copy.copy(array), copy.deepcopy([array, array])
    first[0] = 50
    second[0][1] = 60
    return array, first, second, second[0] is second[1]


@feature("an array of a tensor that requires a gradient", X, -X, grad=True)
def of_differentiated(x):
    y = x * torch.from_numpy(x.detach().numpy() ** 2)
    try:
        return x.numpy()
    except RuntimeError as error:
        return y, str(error)


@feature("arrays and scalars that a branch or a loop leaves", X, -X)
def merged(x):
    array, total, trips = x.numpy(), numpy.float32(1), 0
    if array.sum() > 0:
        array, total = numpy.exp(array), array.max()
    while array.sum() > -20:
        array = array * 2 - 9
        trips += 1
    return array, total, trips


@feature("an array that the function makes and writes, also on one path only", X, -X)
def written(x):
    made = numpy.zeros(3, dtype=numpy.float32)
    other = made
    for position in range(3):
        made[position] = x[position].item() * 2
    if made.sum() > 0:
        made[1:] += 10
    numpy.multiply(made, 2, out=made)
    made.sort()
    return torch.from_numpy(made) + x, other is made, other


@feature("an array that the function makes of known numbers, anew at each call", X, -X, ways=1)
def made_anew(x):
    start = torch.from_numpy(numpy.zeros(3, dtype=numpy.float32))
    start += x
    return start, numpy.arange(3)


@feature("masks, nonzero, unique: arrays of a size that depends on what is in them", X, -X)
def of_unknown_size(x):
    array = x.numpy()
    positive = array[array > 0]
    total = 0.0
    for item in positive:
        total += float(item)
    kinds, counts = numpy.unique(numpy.sign(array), return_counts=True)
    return positive, len(positive), total, x[numpy.nonzero(array > 0)[0]], kinds, counts


@feature("a scalar of an array used as a number, a position, a bound and an operand of torch", X, -X)
def scalars(x):
    array = x.numpy()
    most, place = array.max(), numpy.argmax(array)
    y = x
    for step in range(place):
        y = y + step + most
    kinds = isinstance(most, numpy.float32), isinstance(most, float), type(most).__name__
    return y, x * most, most * x, x[place], [1, 2, 3][place], x[: int(place)], int(most), round(float(most), 1), kinds


@feature("functions of numpy's that join, choose, order and reduce", X, -X)
def functions(x):
    array = x.numpy()
    parts = numpy.stack([array, array * 2]), numpy.concatenate([array, [1.0]]), numpy.where(array > 0, array, 0)
    order = numpy.argsort(array)
    reduced = numpy.mean(array, axis=0, keepdims=True), numpy.cumsum(array), numpy.linalg.norm(array)
    outer = numpy.outer(array, array) + numpy.eye(3, dtype=numpy.float32)
    return parts, x[order], reduced, numpy.linalg.cholesky(outer), numpy.allclose(array, array), array.tolist()


@feature("Python's functions of an array", X, -X)
def of_python(x):
    array = x.numpy()
    found = 3 in array, any(array > 0), f"{array} {array.sum():.2f}"
    return sum(array), max(array), sorted(array), list(array), len(array), found


@feature("arrays in lists that grow while a tensor says so", X, -X)
def in_lists(x):
    seen = []
    while len(seen) < 5 and x.sum() < 100:
        x = x * 3 + 1
        seen.append(x.numpy())
    return numpy.stack(seen)


@feature("shapes that don't fit and positions out of range, caught", X, -X)
def caught(x):
    try:
        return x.numpy() + numpy.ones(4)
    except ValueError as error:
        message = str(error)
    try:
        return x.numpy()[5]
    except IndexError as error:
        return message, str(error)


@feature("the truth of an array of several numbers", X, -X)
def truth(x):
    try:
        return 1 if x.numpy() > 0 else 2
    except ValueError as error:
        return str(error)


@feature(
    "a function of the user's that numpy calls",
    X,
    -X,
    missing="numpy asks for the numbers that it calls it with",
    code="D2S101",
)
def vectorized(x):
    return numpy.vectorize(lambda item: item * 2 if item > 0 else item)(x.numpy())


@feature("a generator of numpy's that the function makes", X, -X, missing="it isn't an op", code="D2S101")
def generator(x):
    return x + torch.from_numpy(numpy.random.default_rng(0).normal(size=3).astype(numpy.float32))

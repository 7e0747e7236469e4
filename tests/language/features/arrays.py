"""Arrays of numpy's, among what is not computed with, and of what is."""

from __future__ import annotations

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


@feature("a tensor made an array, and back", X, -X, missing="arrays of the run aren't followed", code="D2S101")
def round_trip(x):
    array = x.numpy()
    return torch.from_numpy(array * 2), float(array.sum())

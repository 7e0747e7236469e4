"""What is drawn by chance: by torch, by Python, by numpy, by torch's distributions; anew at each run."""

from __future__ import annotations

import random

import numpy
import torch
from language import feature
from torch import distributions

X = torch.tensor([1.0, -2.0, 3.0])


@feature("dropout, rand, bernoulli and randperm", X, -X)
def by_torch(x):
    if x.sum() > 0:
        x = torch.nn.functional.dropout(x, 0.5)
    return x * torch.rand(3), torch.bernoulli(torch.full((3,), 0.5)), torch.randperm(3)


@feature("random.choice, choices, sample and shuffle", X, -X)
def by_python(x):
    items = [1, 2, 3, 4, 5]
    random.shuffle(items)
    picked = random.choice([x, x * 2, x * 3])
    if x.sum() > 0:
        picked = picked * random.choice((1, 5))
    others = random.sample(["a", "b", "c"], 2), random.choices([1.0, 2.0], weights=[1, 2], k=3)
    return picked, items, others, random.choice(range(9)), random.random() * x


@feature("numbers of numpy's generator", X, -X)
def by_numpy(x):
    scale = numpy.random.uniform(1, 2) if x.sum() > 0 else numpy.random.rand()
    return x * scale, numpy.random.randint(5), numpy.random.normal(0.0, 1.0)


@feature("arrays of numpy's generator, and things put in order by it", X, -X)
def an_array(x):
    noise = numpy.random.rand(3).astype(numpy.float32)
    if x.sum() > 0:
        x = x[numpy.random.permutation(3)]
    return x + torch.from_numpy(noise), numpy.random.normal(size=(2, 1)), numpy.random.choice([4, 5, 6])


@feature(
    "torch's distributions: sampling, densities, entropy, divergence, their checks",
    X,
    -X,
    torch.full((3,), torch.nan),
)
def by_distributions(x):
    normal = distributions.Normal(x, 1.0)
    categorical = distributions.Categorical(logits=x)
    sample = normal.rsample()
    if normal.log_prob(sample).sum() > -4:
        sample = categorical.sample() + sample
    divergence = distributions.kl_divergence(normal, distributions.Normal(0.0, x.abs() + 1))
    return sample, categorical.entropy(), divergence, distributions.Beta(x.abs() + 1, 2.0).mean


@feature("a distribution that refuses its argument for some inputs, caught", X.abs(), -X.abs())
def refused(x):
    try:
        return distributions.Exponential(x).mean
    except ValueError as error:
        return str(error)

"""Classes that a call makes: those that hold its variables are not handed on, others are."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from compare import same

import d2s


def around_a_variable(x):
    class Scale(torch.nn.Module):
        def forward(self, y):
            return y * x

    return Scale()


def with_a_value(x):
    class Holder:
        held = x * 2

        def forward(self, y):
            return y * self.held

    return Holder()


def with_a_property(x):
    class Holder:
        @property
        def forward(self):
            return lambda y: y * x

    return Holder


@pytest.mark.parametrize("function", [around_a_variable, with_a_value, with_a_property])
@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_those_that_hold_variables_are_not_handed_on(function):
    static = d2s.to_static(function)
    for x in (torch.ones(2), torch.full((2,), 3.0)):
        made, expected = static(x), function(x)
        if isinstance(made, type):
            made, expected = made(), expected()
        assert same(made.forward(torch.ones(2)), expected.forward(torch.ones(2)))
    with pytest.raises(d2s.ConversionError, match="D2S304"):
        d2s.to_static(function, full_graph=True)(torch.ones(2))


def used_inside(x):
    class Scale(torch.nn.Module):
        def forward(self, y):
            return y * x

    return Scale()(x + 1)


def of_its_own_values(x):
    @dataclass
    class Pair:
        first: Any
        second: Any

    pair = Pair(x, x * 2)
    return pair.first + pair.second, pair


def test_others_are():
    static = d2s.to_static(used_inside, full_graph=True)
    of_values = d2s.to_static(of_its_own_values, full_graph=True)
    for x in (torch.ones(2), torch.full((2,), 3.0)):
        assert same(static(x), used_inside(x))
        answer, pair = of_values(x)
        assert same((answer, pair.first, pair.second), (x * 3, x, x * 2))

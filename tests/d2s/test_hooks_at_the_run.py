"""Hooks of tensors that were there before the call: the run calls them, and what they change is not recorded."""

import pytest
import torch
from compare import same

import d2s


class Holder:
    last: torch.Tensor | None = None
    calls = 0

    def note(self, gradient):
        self.calls += 1


def _of_a_list(weight):
    seen = []
    weight.register_hook(lambda gradient: seen.append(gradient))
    return lambda x: x * len(seen)


def _of_a_class(weight):
    class Last:
        gradient = torch.zeros(2)

    def hook(gradient):
        Last.gradient = gradient

    weight.register_hook(hook)
    return lambda x: Last.gradient * x


def _of_an_object(weight):
    holder = Holder()
    weight.register_post_accumulate_grad_hook(holder.note)
    return lambda x: x * holder.calls


@pytest.mark.parametrize("make", [_of_a_list, _of_a_class, _of_an_object])
@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_what_a_hook_changed(make):
    found = []
    for static in (False, True):
        weight = torch.ones(2, requires_grad=True)
        asks = make(weight)

        def function(x, weight=weight, asks=asks):
            (weight * x).sum().backward()
            return asks(x)

        thing = d2s.to_static(function) if static else function
        found.append([thing(torch.ones(2)) for _ in range(3)] + [weight.grad])
        if static:
            with pytest.raises(d2s.ConversionError, match="D2S307.*hook"):
                d2s.to_static(function, full_graph=True)(torch.ones(2))
    assert same(found[0], found[1])


def test_a_hook_that_shares_nothing():
    weight, scale = torch.ones(2, requires_grad=True), 3.0
    weight.register_hook(lambda gradient: gradient * scale)

    def function(x):
        weight.grad = None
        (weight * x).sum().backward()
        return weight.grad + x

    static = d2s.to_static(function, full_graph=True)
    for x in (torch.ones(2), torch.full((2,), 5.0)):
        assert same(static(x), function(x))

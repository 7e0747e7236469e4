"""Arrays whose memory a tensor shares: what the program writes by the tensor is not taken as it was."""

import numpy as np
import pytest
import torch
from compare import same

import d2s


def _array():
    tensor = torch.zeros(4)
    array = tensor.numpy()[::-1]
    return tensor, array, lambda: float(array[0])


def _bytes():
    held = bytearray(8)
    return torch.frombuffer(held, dtype=torch.uint8), held, lambda: held[7]


@pytest.mark.parametrize("make", [_array, _bytes])
@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_written_tensor(make):
    found = []
    for static in (False, True):
        tensor, _, read = make()

        def function(x, tensor=tensor, read=read):
            tensor.add_(1)
            return x * read()

        thing = d2s.to_static(function) if static else function
        found.append([thing(torch.ones(2)) for _ in range(3)])
    assert same(found[0], found[1])


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_tensor_made_inside():
    def function(x, array):
        torch.from_numpy(array).add_(x)
        return x * float(array.sum())

    static, mine, eagers = d2s.to_static(function), np.zeros(2), np.zeros(2)
    for _ in range(3):
        assert same(static(torch.ones(2), mine), function(torch.ones(2), eagers))


def test_memory_of_its_own():
    array, tensor = np.ones(3), torch.zeros(2)

    def function(x):
        tensor.add_(1)
        return x * float(array[0])

    assert same(d2s.to_static(function, full_graph=True)(torch.ones(2)), torch.ones(2))

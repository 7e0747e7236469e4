"""Straight-line programs to `torch.fx` and back."""

from __future__ import annotations

import pytest
import torch
from torch import fx, nn

import d2s


class Net(nn.Module):
    """No control flow; several results, an attribute of a tensor, and a call of a method."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.register_buffer("shift", torch.ones(4))

    def forward(self, x, pair, scale=2.0):
        values, positions = torch.max(self.fc(x) + self.shift, dim=1)
        return values.mul(scale).T + pair[0], positions


def test_there_and_back():
    torch.manual_seed(0)
    net = Net()
    x, pair = torch.randn(3, 4), (torch.randn(3), 1)
    program = d2s.to_static(net, full_graph=True).forward.concrete_program(x, pair)
    graph_module = d2s.to_fx(program)
    assert isinstance(graph_module, fx.GraphModule)
    expected = Net.forward(net, x, pair)
    torch.testing.assert_close(graph_module(x, pair), expected)
    assert graph_module.fc.weight is net.fc.weight
    for node in graph_module.graph.nodes:
        if node.target is torch.max:
            node.target = torch.min
    graph_module.recompile()
    back = d2s.from_fx(graph_module, x, pair)
    assert list(back.state_dict()) == list(net.state_dict()) and "torch.min" in str(back.programs[0])
    torch.testing.assert_close(back(x, pair), graph_module(x, pair))
    assert back(x, pair)[1].tolist() != expected[1].tolist()


def test_traced_by_fx():
    traced = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 4), nn.ReLU()))
    module = d2s.from_fx(traced, torch.ones(2, 4))
    assert list(module.state_dict()) == ["0.weight", "0.bias"]
    torch.testing.assert_close(module(-torch.ones(2, 4)), traced(-torch.ones(2, 4)))


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (lambda x: x if x.sum() > 0 else -x, "has control flow"),
        (lambda x: torch.no_grad()(lambda: x * 2)(), "switches modes"),
    ],
)
def test_what_a_graph_of_fx_can_not_do(function, what):
    program = d2s.to_static(function, full_graph=True).concrete_program(torch.ones(2))
    with pytest.raises(d2s.D2SError, match=what):
        d2s.to_fx(program)

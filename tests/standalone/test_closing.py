"""Programs closed over what they read: modules that need neither the code nor the objects that they came from."""

from __future__ import annotations

import gc

import pytest
import torch
from torch import nn

import d2s
from d2s.runtime.standalone.closing import close


class Net(nn.Module):
    """Parameters, buffers, dropout, a counter, a list, and control flow on values of tensors."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.unused = nn.Linear(1, 1)
        self.drop = nn.Dropout(0.3)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("seen", torch.zeros(()))
        self.scale = torch.tensor(2.0)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        h = self.norm(self.fc(x))
        self.seen += x.detach().sum()
        if x.sum() > 0:
            h = torch.relu(h) * self.scale
        else:
            h = torch.tanh(h)
        while h.norm() > 3:
            h = h * 0.5
        return self.drop(h), self.calls


def closed(function, *args):
    """The program of a function for these arguments, as a module."""
    static = d2s.to_static(function, full_graph=True)
    forward = static.forward if isinstance(static, nn.Module) else static
    return close([forward.concrete_program(*args)])


def pair():
    torch.manual_seed(0)
    net, reference = Net(), Net()
    reference.load_state_dict(net.state_dict())
    return closed(net, torch.randn(5, 4)), reference


@pytest.mark.parametrize("sign", [1, -1])
def test_module_does_what_the_original_does(sign):
    module, reference = pair()
    for scale in (1.0, 20.0):
        x = sign * scale * torch.rand(5, 4)
        answers = []
        for one in (module, reference):
            torch.manual_seed(3)
            answer, calls = one(x)
            answer.square().sum().backward()
            answers.append((answer, calls, one.seen, *(p.grad for p in one.parameters())))
        torch.testing.assert_close(answers[0], answers[1])


def test_names_and_kinds_are_those_of_the_original():
    module, reference = pair()
    assert list(module.state_dict()) == list(reference.state_dict())
    assert repr(module).splitlines()[0] == "Net("
    reference.load_state_dict(module.state_dict())
    assert list(dict(module.named_modules())) == list(dict(reference.named_modules()))


def test_gradients_asked_for_otherwise():
    module, reference = pair()
    x = torch.randn(5, 4, requires_grad=True)
    for one in (module, reference):
        torch.manual_seed(3)
        x.grad = None
        one.fc.weight.requires_grad_(False)
        one(x)[0].sum().backward()
        if one is module:
            first = x.grad
    torch.testing.assert_close(x.grad, first)
    with torch.no_grad():
        assert not module(x)[0].requires_grad


def test_a_call_that_no_program_is_for():
    module, _ = pair()
    with pytest.raises(d2s.D2SError, match=r"only for x: float32\[5, 4\], self.norm in training mode"):
        module.eval()(torch.randn(5, 4))
    with pytest.raises(d2s.D2SError, match="no program"):
        module.train()(torch.randn(6, 4))


def test_the_grad_mode_matters_to_a_function_that_asks():
    def function(x):
        return x * 2 if torch.is_grad_enabled() else x * 3

    module = closed(function, torch.ones(2))
    with torch.no_grad(), pytest.raises(d2s.D2SError, match="no program"):
        module(torch.ones(2))
    assert module(torch.ones(2)).tolist() == [2, 2]


def test_gradients_matter_to_a_function_that_asks():
    def function(x):
        return x * 2 if x.requires_grad else x * 3

    module = closed(function, torch.ones(2))
    with pytest.raises(d2s.D2SError, match="no program"):
        module(torch.ones(2, requires_grad=True))


def test_globals_closures_and_objects_become_state():
    weight = nn.Parameter(torch.ones(3))
    table = torch.arange(3.0)

    class Config:
        def __init__(self):
            self.offset = torch.tensor(1.0)

    config = Config()

    def function(x, net):
        return (net(x) * weight + table + config.offset).sum(), net.in_features

    net = nn.Linear(3, 3)
    x = torch.randn(2, 3)
    module = closed(function, x, net)
    expected = function(x, net)
    assert dict(module.named_parameters()).keys() == {"weight", "net.weight", "net.bias"}
    assert list(module.d2s_signature.parameters) == ["x"]
    torch.testing.assert_close(module(x), expected)
    module.double()
    assert module.table.dtype == torch.float32
    torch.testing.assert_close(module(x.double())[0], (net(x.double()) * weight + table + config.offset).sum())


def test_lists_and_cached_state_are_the_modules_own():
    class Cache(nn.Module):
        def __init__(self):
            super().__init__()
            self.past = None
            self.history = []

        def forward(self, x):
            self.past = x if self.past is None else self.past + x
            self.history.append(x.sum())
            return self.past

    net = Cache()
    static = d2s.to_static(net, full_graph=True)
    for _ in range(2):
        static(torch.ones(2))
    fresh = Cache()
    first, second = static.forward.programs
    static.past, static.history = None, []
    module = close([first, second])
    for one in (module, fresh):
        one(torch.ones(2))
        one(torch.ones(2) * 3)
    torch.testing.assert_close((module.past, module.history), (fresh.past, fresh.history))
    assert net.past is None and net.history == []


def test_the_object_must_still_be_there():
    static = d2s.to_static(Net(), full_graph=True)
    program = static.forward.concrete_program(torch.randn(5, 4))
    del static
    gc.collect()
    with pytest.raises(d2s.D2SError, match="is there no more"):
        close([program])

"""Everything that can be called can be made static, and stays what it was."""

from __future__ import annotations

import copy
import functools
import pickle
from typing import Any

import pytest
import torch
from torch import nn

import d2s

BOTH_WAYS = (torch.ones(2, 4), -torch.ones(2, 4))


class Net(nn.Module):
    """Every container of modules, and a branch."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
        self.steps = nn.ModuleList([nn.Linear(4, 4) for _ in range(2)])
        self.ends = nn.ModuleDict({"small": nn.Linear(4, 4), "large": nn.Linear(4, 4)})
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        end = self.ends["large"] if x.sum() > 0 else self.ends["small"]
        y = self.start(x)
        for step in self.steps:
            y = step(y) * self.scale
        return end(y)

    def encode(self, x):
        return self.start(x) if x.sum() > 0 else x * self.scale

    def decode(self, x):
        return x / self.scale if x.sum() > 0 else self.steps[0](x)


class StaticNet(Net):
    @d2s.to_static(full_graph=True)
    def forward(self, x):
        return super().forward(x)


class Scaler:
    """A callable object, with methods of every kind."""

    factor = 3

    def __call__(self, x):
        return x * self.factor if x.sum() > 0 else x - 1

    @d2s.to_static(full_graph=True)
    @classmethod
    def outer_class(cls, x):
        return x * cls.factor if x.sum() > 0 else x - 1

    @classmethod
    @d2s.to_static(full_graph=True)
    def inner_class(cls, x):
        return x * cls.factor if x.sum() > 0 else x - 1

    @d2s.to_static(full_graph=True)
    @staticmethod
    def outer_static(x):
        return x * 3 if x.sum() > 0 else x - 1

    @staticmethod
    @d2s.to_static(full_graph=True)
    def inner_static(x):
        return x * 3 if x.sum() > 0 else x - 1


@d2s.to_static(full_graph=True)
def named(x):
    return x * 3 if x.sum() > 0 else x - 1


def agree(static: Any, eager: Any, programs: Any = None) -> None:
    for x in BOTH_WAYS:
        torch.testing.assert_close(static(x), eager(x), rtol=0, atol=0)
    assert len((programs or static).programs) == 1


@pytest.mark.parametrize(
    "static",
    [
        Scaler.outer_class,
        Scaler().outer_class,
        Scaler.inner_class,
        Scaler.outer_static,
        Scaler().inner_static,
        d2s.to_static(Scaler(), full_graph=True),
        d2s.to_static(Scaler().__call__, full_graph=True),
        d2s.to_static(lambda x: x * 3 if x.sum() > 0 else x - 1, full_graph=True),
        d2s.to_static(functools.partial(lambda k, x: x * k if x.sum() > 0 else x - 1, 3), full_graph=True),
        d2s.to_static(functools.partial(Scaler()), full_graph=True),
        pickle.loads(pickle.dumps(d2s.to_static(Scaler(), full_graph=True))),
        pickle.loads(pickle.dumps(named)),
        copy.deepcopy(d2s.to_static(functools.partial(Scaler()), full_graph=True)),
    ],
    ids=lambda static: type(static).__name__,
)
def test_a_callable(static: Any) -> None:
    agree(static, Scaler())


def test_a_callable_object_keeps_its_attributes() -> None:
    scaler = Scaler()
    static = d2s.to_static(scaler)
    assert static.factor == 3
    assert static.rollback() is scaler


def test_a_wrapper_is_called_with_what_it_was_given() -> None:
    def inner(x, factor=2):
        return x * factor

    @functools.wraps(inner)
    def wrapper(*args, **kwargs):
        return inner(*args, **kwargs) + len(args) + 10 * len(kwargs)

    static = d2s.to_static(wrapper, full_graph=True)
    for x in BOTH_WAYS:
        assert torch.equal(static(x), wrapper(x))
        assert torch.equal(static(x, factor=3), wrapper(x, factor=3))


@pytest.mark.parametrize("target", [3, nn.ModuleList(), type("Empty", (), {})], ids=str)
def test_what_cannot_be_called(target: Any) -> None:
    with pytest.raises(d2s.D2SError, match="to_static"):
        d2s.to_static(target)


def test_a_module_is_the_same_module() -> None:
    torch.manual_seed(0)
    net, hooked = Net(), []
    eager = copy.deepcopy(net)
    net.register_forward_hook(lambda module, args, answer: hooked.append(module))
    names, parameters = list(net.state_dict()), list(net.parameters())
    static = d2s.to_static(net, full_graph=True)
    assert static is net and type(static) is Net
    assert list(static.state_dict()) == names
    assert all(new is old for new, old in zip(static.parameters(), parameters, strict=True))
    agree(static, eager, static.forward)
    assert hooked == [net, net]
    assert d2s.to_static(static).forward is static.forward


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda net: pickle.loads(pickle.dumps(net))], ids=["deepcopy", "pickle"]
)
@pytest.mark.parametrize(
    "make", [lambda: d2s.to_static(Net(), full_graph=True), StaticNet], ids=["instance", "class"]
)
def test_a_copy_has_a_state_of_its_own(make: Any, copied: Any) -> None:
    torch.manual_seed(0)
    net = make()
    net(BOTH_WAYS[0])
    other = copied(net)
    assert other.forward.__self__ is other
    eager = Net()
    eager.load_state_dict(net.state_dict())
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
    for x in BOTH_WAYS:
        assert torch.equal(other(x), eager(x))
        assert torch.equal(net(x), torch.zeros(2, 4))


def test_methods_of_one_module_share_its_state() -> None:
    torch.manual_seed(0)
    net: Any = Net()
    eager = copy.deepcopy(net)
    net.encode = d2s.to_static(net.encode, full_graph=True)
    net.decode = d2s.to_static(net.decode, full_graph=True)
    for factor in (1.0, 0.5):
        with torch.no_grad():
            net.scale.mul_(factor)
            eager.scale.mul_(factor)
        agree(net.encode, eager.encode)
        agree(net.decode, eager.decode)
    assert copy.deepcopy(net).decode.__self__ is not net


def test_static_inside_static() -> None:
    torch.manual_seed(0)
    net = Net()
    eager = copy.deepcopy(net)
    net.steps[0] = d2s.to_static(net.steps[0])
    net.start.forward = d2s.to_static(net.start.forward)
    agree(d2s.to_static(net, full_graph=True), eager, net.forward)
    assert not net.start.forward.programs


def test_a_forward_of_the_instance_itself() -> None:
    net = nn.Linear(4, 4)
    net.forward = lambda x: x * 2 if x.sum() > 0 else x
    outer = nn.Sequential(net)
    agree(d2s.to_static(outer, full_graph=True), net.forward, outer.forward)
    original = vars(net)["forward"]
    assert d2s.to_static(net).forward.rollback() is original
    assert vars(net)["forward"] is original


def test_rollback_of_a_module() -> None:
    net: Any = d2s.to_static(Net())
    original = net.forward.rollback()
    assert "forward" not in vars(net)
    assert original == net.forward


def test_a_class_and_its_rollback() -> None:
    class Derived(Net):
        pass

    Local: Any = Derived
    inherited = Local.forward
    assert d2s.to_static(Local, full_graph=True) is Local
    torch.manual_seed(0)
    net, eager = Local(), Net()
    eager.load_state_dict(net.state_dict())
    agree(net, eager, net.forward)
    assert Local.forward.rollback() is inherited
    assert "forward" not in vars(Local)


def test_a_class_whose_objects_are_called() -> None:
    class Local(Scaler):
        pass

    call: Any = d2s.to_static(Local, full_graph=True).__call__
    agree(Local(), Scaler(), call)

"""Code of the user's that something else calls is recorded too: its effects are those of eager at each call."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import pytest
import torch
from torch import nn

import d2s

X = torch.tensor([1.0, -2.0, 3.0])


def hooked(kind: str, seen: list[Any]) -> nn.Module:
    """A net with a hook on its inner layer that keeps what it gets."""
    net = nn.Sequential(nn.Linear(3, 3), nn.ReLU())

    def keep(module, args, answer):
        seen.append(answer.detach())

    def other(module, args, answer):
        seen.append(answer.detach())
        return answer * 2

    class Keeper:
        def method(self, module, args, answer):
            seen.append(answer.detach())

        def __call__(self, module, args, answer):
            seen.append(answer.detach())

    hooks: dict[str, Any] = {
        "def": keep,
        "lambda": lambda module, args, answer: seen.append(answer.detach()),
        "other answer": other,
        "method": Keeper().method,
        "object": Keeper(),
    }
    if kind == "pre":
        net[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    elif kind == "branch":
        net[0].register_forward_hook(lambda module, args, answer: answer + 1 if answer.sum() > 0 else -answer)
    else:
        net[0].register_forward_hook(hooks[kind])
    return net


@pytest.mark.parametrize("kind", ["def", "lambda", "other answer", "method", "object", "pre", "branch"])
def test_hooks_of_inner_modules(kind: str) -> None:
    seen: tuple[list[Any], list[Any]] = [], []
    torch.manual_seed(0)
    eager = hooked(kind, seen[0])
    static = hooked(kind, seen[1])
    static.load_state_dict(eager.state_dict())
    names = list(vars(static[0]))
    static = d2s.to_static(static, full_graph=True)
    for x in (X, -X, X * 3):
        assert torch.equal(static(x), eager(x))
    assert names == list(vars(static[0]))
    assert len(seen[0]) == len(seen[1])
    assert all(type(found) is torch.Tensor for found in seen[1])
    assert all(map(torch.equal, *seen))


def test_a_hook_that_comes_later_and_goes() -> None:
    seen: list[Any] = []
    net = d2s.to_static(nn.Sequential(nn.Linear(3, 3)), full_graph=True)
    net(X)
    handle = net[0].register_forward_hook(lambda module, args, answer: seen.append(answer.detach()))
    net(X)
    net(X)
    handle.remove()
    net(X)
    assert len(seen) == 2 and all(type(found) is torch.Tensor for found in seen)


def test_hooks_of_all_modules() -> None:
    seen: list[Any] = []
    layer = nn.Linear(3, 3)

    def runs(x):
        return layer(x)

    def doubles(module, args, answer):
        seen.append(type(module))
        return answer * 2

    static = d2s.to_static(runs, full_graph=True)
    assert torch.equal(static(X), runs(X))
    handles = [
        nn.modules.module.register_module_forward_hook(doubles),
        nn.modules.module.register_module_forward_pre_hook(lambda module, args: seen.append(len(args))),
    ]
    want = runs(X)
    assert [torch.equal(static(X), want) for _ in range(2)] == [True, True]
    assert seen == [1, nn.Linear] * 3
    for handle in handles:
        handle.remove()
    assert torch.equal(static(X), runs(X)) and len(seen) == 6


def counted(function: Any) -> Any:
    calls, last = 0, None

    def wrapper(x):
        nonlocal calls, last
        calls += 1
        last = x
        return function(x) * calls

    wrapper.state = lambda: (calls, last is not None)  # type: ignore[attr-defined]
    return wrapper


def test_variables_that_a_called_function_writes() -> None:
    outcomes = []
    for make in (lambda f: f, lambda f: d2s.to_static(f, full_graph=True)):
        helper = counted(lambda x: x + 1)

        def f(x, helper=helper):
            return helper(x) if x.sum() > 0 else helper(-x) - 1

        called = make(f)
        outcomes.append([(called(x).tolist(), *helper.state()) for x in (X, -X, X)])
    assert outcomes[0] == outcomes[1]


def test_variables_around_a_class() -> None:
    def outcome(make: Any) -> Any:
        log: list[int] = []
        table: dict[str, int] = {}
        count = 0

        class Net(nn.Module):
            def forward(self, x):
                nonlocal count
                count += 1
                log.append(1)
                table["k"] = table.get("k", 0) + 1
                return x + table["k"]

        net = Net()
        f = make(lambda x: net(x) * 2)
        return [f(X).tolist() for _ in range(3)], log, table, count

    assert outcome(lambda f: f) == outcome(lambda f: d2s.to_static(f, full_graph=True))


best: Any = 1.0


def keep_best(x):
    global best
    best = x * 2


def test_a_global_that_a_function_called_on_one_side_writes() -> None:
    def f(x):
        if x.sum() > 0:
            keep_best(x)
        return x + 1

    def outcome(call: Any) -> list[Any]:
        global best
        best, seen = 1.0, []
        for x in (X, -X, X * 3, -X):
            call(x)
            seen.append(torch.as_tensor(best).tolist())
        return seen

    assert outcome(d2s.to_static(f, full_graph=True)) == outcome(f)


# ------------------------------------------------------------------ what Python and its library call by themselves

log: list[Any] = []


class Registered:
    def __new__(cls, value):
        log.append("new")
        return super().__new__(cls)

    def __init__(self, value):
        log.append("init")
        self.value = value


class Counting(type):
    made = 0

    def __call__(cls, *args):
        Counting.made += 1
        one = super().__call__(*args)
        return one if one.value.sum() > 0 else super().__call__(-args[0])


class Counted(metaclass=Counting):
    def __init__(self, value):
        log.append("init")
        self.value = value


class Base:
    factor: int

    def __init_subclass__(cls, **kwargs):
        log.append(cls.__name__)
        cls.factor = 2


class Named:
    def __set_name__(self, owner, name):
        log.append(name)

    def __get__(self, thing, cls):
        return 3


@functools.singledispatch
def scaled(x, k):
    log.append("other")
    return x * k


@scaled.register
def _(x: torch.Tensor, k):
    log.append("tensor")
    return x + k if x.sum() > 0 else x - k


class Dispatching:
    @functools.singledispatchmethod
    def act(self, x):
        log.append("other")
        return x

    @act.register
    def _(self, x: torch.Tensor):
        log.append("tensor")
        return -x if x.sum() > 0 else x

    def power(self, x, n):
        log.append(n)
        return x**n if x.sum() > 0 else x

    square = functools.partialmethod(power, n=2)


@contextlib.contextmanager
def noted(name):
    log.append("in " + name)
    try:
        yield len(log)
    except ZeroDivisionError:
        log.append("caught")
    finally:
        log.append("out " + name)


def registers(x):
    one = Registered(x * 2)
    if x.sum() > 0:
        one = Registered(one.value + 1)
    return one.value * len(log)


def by_a_metaclass(x):
    return Counted(x).value * Counting.made


def makes_classes(x):
    class Inner(Base):
        field = Named()

    return x * Inner.factor * Inner().field * len(log)


def dispatches(x):
    return scaled(x, 2) * scaled(3, 2) * len(log)


def dispatches_methods(x):
    one = Dispatching()
    return one.act(x) * one.square(x) * len(log)


def within_managers(x):
    with noted("a"):
        if x.sum() > 0:
            with noted("b") as n:
                return x * n
    return -x


def swallowed_by_a_manager(x):
    y = 0.0
    with noted("a"):
        y = 1 / int(x.sum())
        log.append("not reached")
    return x + y


@noted("decorated")
def decorated(x):
    return x * 2 if x.sum() > 0 else x


def calls_decorated(x):
    return decorated(x) * len(log)


def in_a_stack(x):
    with contextlib.ExitStack() as stack:
        stack.enter_context(noted("a"))
        if x.sum() > 0:
            stack.enter_context(noted("b"))
        stack.callback(log.append, "callback")
        log.append("body")
    return x * len(log)


BY_ITSELF = [registers, by_a_metaclass, makes_classes, dispatches, dispatches_methods, within_managers]
BY_ITSELF += [swallowed_by_a_manager, calls_decorated, in_a_stack]


@pytest.mark.parametrize("function", BY_ITSELF)
def test_code_that_is_called_by_itself(function: Any) -> None:
    outcomes: list[Any] = []
    for call in (function, d2s.to_static(function, full_graph=True)):
        log.clear()
        Counting.made = 0
        outcomes.append([(call(x).tolist(), list(log)) for x in (X, -X, X * 0, X)])
    assert outcomes[0] == outcomes[1]


class Ending:
    def __del__(self):
        log.append("gone")


def test_an_object_with_an_end_is_refused() -> None:
    def makes(x):
        one = Ending()
        return x if one else -x

    with pytest.raises(d2s.ConversionError, match="D2S307"):
        d2s.to_static(makes, full_graph=True)(X)


def with_own_function(make: Any, reads: bool) -> Any:
    calls: list[str] = []
    setting = {"k": 2.0}

    class Scale(torch.autograd.Function):
        times = 0

        @staticmethod
        def forward(ctx, x):
            calls.append("forward")
            Scale.times += 1
            return x * setting["k"]

        @staticmethod
        def backward(ctx, g):
            calls.append("backward")
            return g * setting["k"]

    def f(x):
        return Scale.apply(x) if x.sum() > 0 else Scale.apply(x * 3)

    def reading(x):
        return f(x) * len(calls)

    called, seen = make(reading if reads else f), []
    for k in (2.0, 5.0):
        setting["k"] = k
        for value in (1.0, -1.0):
            x = torch.tensor([value], requires_grad=True)
            y = called(x)
            y.sum().backward()
            seen.append((y.item(), x.grad, list(calls), Scale.times))
    return seen


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("reads", [False, True])
def test_effects_of_an_own_function(reads: bool) -> None:
    static = with_own_function(lambda f: d2s.to_static(f, full_graph=not reads), reads)
    assert static == with_own_function(lambda f: f, reads)


packed: list[int] = []


def pack(tensor):
    packed.append(tensor.dim())
    return tensor * 2


def hooked_on_one_path(x):
    y = x.exp()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor * 10):
        if x.sum() > 0:
            y = y * x
        with torch.autograd.graph.saved_tensors_hooks(pack, pack):
            for _ in range(2):
                y = y * x
    return (y * y).sum()


@pytest.mark.parametrize("backend", ["torch", "inductor"])
def test_hooks_of_saved_tensors(backend: str) -> None:
    seen: list[Any] = []
    for function in (hooked_on_one_path, d2s.to_static(hooked_on_one_path, full_graph=True, backend=backend)):
        packed.clear()
        for sign in (1, -1, 1):
            x = (X * sign).requires_grad_()
            y = function(x)
            y.backward()
            seen.append((y.item(), x.grad, list(packed)))
    assert repr(seen[:3]) == repr(seen[3:])


def test_hooks_of_saved_tensors_that_share_variables_are_refused() -> None:
    def hooked(x):
        with torch.autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: v * x):
            return x * x

    with pytest.raises(d2s.ConversionError, match="D2S308"):
        d2s.to_static(hooked, full_graph=True)(X)

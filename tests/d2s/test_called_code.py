"""Code of the user's that something else calls is recorded too: its effects are those of eager at each call."""

from __future__ import annotations

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

"""What can't be captured runs in eager, function by function, with one short message."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from compare import same
from torch import nn

import d2s
from d2s import fallback


def helper(x):
    return x * 2 if x.sum() > 0 else x - 1


def keyed(x):
    return x * len(str(int(x.sum())).split("1"))


def plain(number):
    return number + 1


def outer(x):
    y = helper(x)
    z = keyed(y)
    return helper(z) * plain(2) + eval("1")


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def scale(self, x):
        return x * 2 if x.sum() > 0 else x * 3

    def forward(self, x):
        return torch.relu(self.fc(x)) if x.sum() > 0 else self.fc(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(Block(), Block())
        self.last = Block()
        self.last.register_forward_hook(lambda module, args, answer: answer + 1)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        y = self.last.scale(self.blocks(x))
        return self.last(y) * eval("2")


def told(function: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """The answer of a call, and the warnings that it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = function()
    return answer, [warning for warning in caught if warning.category is d2s.FallbackWarning]


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The static forms that a fallback made of what it calls, by the name of the function."""
    found: dict[str, Any] = {}
    original = fallback._static

    def noted(make_static: Any, function: Any) -> Any:
        name = function.__qualname__
        if name not in found:
            found[name] = original(make_static, function)
        return found[name]

    monkeypatch.setattr(fallback, "_static", noted)
    return found


def test_what_it_calls_is_captured_on_its_own(made: dict[str, Any]) -> None:
    static = d2s.to_static(outer)
    for x in (torch.ones(2), -torch.ones(2)):
        answer, messages = told(partial(static, x))
        assert same(answer, outer(x))
    assert len(made["helper"].programs) == 1
    assert not made["keyed"].programs
    assert "plain" not in made


def test_each_reason_is_told_once_where_it_stands() -> None:
    static = d2s.to_static(outer)
    _, messages = told(lambda: [static(torch.ones(2)) for _ in range(3)])
    text = [str(message.message) for message in messages]
    assert len(text) == 1  # `keyed` would tell the same as `outer`, for the same line
    line = keyed.__code__.co_firstlineno + 1
    assert text[0].startswith(f"{__file__}:{line}: D2S102: outer can't be made static: ")
    assert "\n" not in text[0]


def test_modules_in_a_module_that_falls_back(made: dict[str, Any]) -> None:
    torch.manual_seed(0)
    net: Any = Net()
    eager = Net()
    net.load_state_dict(eager.state_dict())
    d2s.to_static(net)
    for x in (torch.ones(2, 2), -torch.ones(2, 2)):
        answer, _ = told(partial(net, x))
        assert same(answer.detach(), eager(x).detach())
    assert net.calls == eager.calls == 2
    assert len(made["Block.forward"].programs) == 1
    assert len(made["Sequential.forward"].programs) == 1
    assert len(made["Block.scale"].programs) == 1
    assert all("forward" not in vars(module) for module in net.modules() if module is not net)


def test_an_exception_in_eager_leaves_nothing_behind() -> None:
    def fails(x):
        helper(x)
        eval("1")
        raise ValueError("mine")

    static = d2s.to_static(fails)
    with pytest.raises(ValueError, match="mine"):
        told(lambda: static(torch.ones(2)))
    from d2s.runtime.operators import calls

    assert calls.call(helper) is helper

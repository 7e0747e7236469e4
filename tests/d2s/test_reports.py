"""`explain` and `check`: what is captured, and whether it does what eager does."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

import d2s
from d2s.runtime.ir.program import Call, walk_ops
from d2s.runtime.recording.capture import capture


def helper(x):
    return x * 2 if x.sum() > 0 else x - 1


def outer(x):
    return helper(x) * eval("2")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        y = self.norm(self.fc(x))
        while y.abs().sum() > 3:
            y = y / 2
        if y.sum() > 0:
            y = y * 2
        return functional.dropout(y, 0.5)


def test_a_report_of_what_is_captured() -> None:
    report = d2s.explain(outer, torch.ones(2))
    (eager,), (captured,) = report.eager, report.captured
    assert not report.is_full_graph
    assert (eager.function, eager.code, captured.function) == ("outer", "D2S303", "helper")
    line = outer.__code__.co_firstlineno + 1
    assert eager.location == f"{__file__}:{line}"
    text = str(report).splitlines()
    assert text[0] == "1 captured, 1 in eager"
    assert f"{__file__}:{line}: D2S303: eval() runs a text as code" in text[2]
    assert "change: write the code itself" in text[3]
    assert "captured  helper: 4 calls, 1 if" in text[4]


def test_a_report_leaves_the_function_and_its_arguments_alone() -> None:
    net: Any = Net()
    static, x = d2s.to_static(net), torch.rand(4, 3, requires_grad=True) * 2
    report = d2s.explain(static, x)
    assert report.is_full_graph and len(report.captured) == 1
    assert "1 loop" in str(report)
    assert net.calls == 0 and not net.forward.programs
    assert d2s.explain(static.forward, x).is_full_graph


@pytest.mark.parametrize("by_op", [False, True])
def test_a_check_of_what_is_right(by_op: bool) -> None:
    net = d2s.to_static(Net())
    x = torch.rand(4, 3, requires_grad=True)
    torch.manual_seed(0)
    random.seed(0)
    comparison = d2s.check(net, x, by_op=by_op)
    assert comparison and str(comparison) == "the same as eager"
    assert d2s.check(helper, -torch.ones(2), by_op=by_op)
    assert d2s.check(outer, torch.ones(2), by_op=by_op)
    assert d2s.check(lambda x: x[5], torch.ones(2), by_op=by_op)
    assert net.calls == 0 and x.grad is None


def change(monkeypatch: pytest.MonkeyPatch, edit: Callable[[Any], None]) -> None:
    """Have every program be wrong."""

    def wrong(*args: Any) -> Any:
        captured = capture(*args)
        for op in walk_ops(captured.program.body):
            if isinstance(op, Call):
                edit(op)
        return captured

    monkeypatch.setattr("d2s.programs.capture", wrong)


def test_a_check_finds_a_wrong_answer_and_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(op: Any) -> None:
        if op.target is torch.Tensor.mul:
            op.target = torch.Tensor.add

    def two_lines(x):
        y = x + 1
        y = y * 5
        return y - 2

    change(monkeypatch, edit)
    comparison = d2s.check(two_lines, torch.ones(2, requires_grad=True))
    assert not comparison
    assert "answer is tensor([5., 5.]" in str(comparison) and "in eager tensor([8., 8.]" in str(comparison)
    assert any(line.startswith("args[0].grad is") for line in comparison.differences)


def test_a_check_by_op_names_the_first_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(op: Any) -> None:
        if op.target is torch.Tensor.mul:
            op.args = (op.args[0], 6)

    def three_lines(x):
        y = x + 1
        y = y * 5
        return y - 2

    change(monkeypatch, edit)
    comparison = d2s.check(three_lines, torch.ones(2), by_op=True)
    line = three_lines.__code__.co_firstlineno + 2
    assert comparison.differences[0].startswith(f"{__file__}:{line}: torch.Tensor.mul is the first call")


def test_a_check_finds_other_draws_and_other_state(monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(op: Any) -> None:
        if op.target is torch.rand:
            op.args = (3,)

    def noisy(x):
        return x * 0 + torch.rand(2).sum() * 0

    change(monkeypatch, edit)
    assert d2s.check(noisy, torch.ones(2)).differences == ["other random numbers were drawn"]

    def state(op: Any) -> None:
        if op.target is torch.Tensor.add_:
            op.args = (op.args[0], 2)

    def written(x):
        x.add_(1)
        return x.sum() * 0

    change(monkeypatch, state)
    (difference,) = d2s.check(written, torch.ones(2)).differences
    assert difference.startswith("args[0] is tensor([3., 3.])")


def test_a_check_allows_what_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def edit(op: Any) -> None:
        if op.target is torch.Tensor.mul:
            op.args = (op.args[0], 2.001)

    change(monkeypatch, edit)
    assert not d2s.check(lambda x: x * 2, torch.ones(2))
    assert d2s.check(lambda x: x * 2, torch.ones(2), rtol=0.01)


class Settings:
    def __init__(self):
        self.scale = 2
        self.sizes = [1, 2]


def test_the_guard_that_fails_is_named() -> None:
    settings = Settings()

    def scaled(x):
        return x * settings.scale + sum(settings.sizes) if x.sum() > 0 else x

    static, x = d2s.to_static(scaled), torch.ones(2)
    static(x)
    assert d2s.explain(static, x).misses == []
    for name, value, words in [
        ("scale", 3, "settings.scale must be 2"),
        ("sizes", [1], "settings.sizes must be a list of length 2"),
        ("sizes", (1, 2), "settings.sizes must be a list of length 2"),
        ("sizes", [1, 3], "settings.sizes[1] must be 2"),
    ]:
        with pytest.MonkeyPatch.context() as patches:
            patches.setattr(settings, name, value)
            assert d2s.explain(static, x).misses == [words]
    assert d2s.explain(static, x).misses == []
    assert d2s.explain(static, torch.ones(2, 2)).misses == ["x must be a Tensor float32[2] of strides (1,)"]
    assert "missed    program 1: x must be" in str(d2s.explain(static, torch.ones(2, 2)))
    with torch.no_grad():
        assert d2s.explain(static, x).misses == ["the modes of torch must be the same"]

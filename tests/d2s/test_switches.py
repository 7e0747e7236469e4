"""Functions and modules that stay as they are, and everything switched off."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from compare import same
from loading import load_module
from modules import agree, pair
from torch import nn

import d2s


@d2s.not_to_static
def kept(x, scale=2):
    return x * scale if x.sum() > 0 else x, x.shape[0]


@d2s.not_to_static
def in_place(x):
    x.add_(1)
    return x * 2


class Part(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x) if x.sum() > 0 else -self.fc(x)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = d2s.not_to_static(Part())
        self.other = Part()

    @d2s.not_to_static
    def method(self, x):
        return self.other(x) * 2

    def forward(self, x):
        y = self.part(x)
        if x.sum() > 0:
            y = y + self.method(x)
        return y


def test_a_program_calls_the_function_itself() -> None:
    def outer(x):
        y = x.clone()
        if x.sum() > 0:
            z, rows = kept(y)
            return z * rows
        return in_place(y) + y

    static = d2s.to_static(outer, full_graph=True)
    for x in (torch.ones(3), -torch.ones(3)):
        assert same(static(x), outer(x))
    (program,) = static.programs
    assert "kept(" in str(program) and "in_place(" in str(program)
    # The function itself is called at each run: another one in its place is seen.
    code = kept.__code__
    try:
        kept.__code__ = (lambda x, scale=2: (x - 7, 3)).__code__
        assert same(static(torch.ones(3)), (torch.ones(3) - 7) * 3)
    finally:
        kept.__code__ = code


def test_modules_and_methods_that_are_kept() -> None:
    static, eager = pair(Net)
    agree(static, eager)
    (program,) = static.forward.programs
    assert "call_module(" in str(program) and "method(" in str(program)
    for net in (static, eager):
        net.part = d2s.not_to_static(Part())
        nn.init.ones_(net.part.fc.weight)
        nn.init.ones_(net.part.fc.bias)
    agree(static, eager)


def test_a_kept_function_is_never_captured() -> None:
    static = d2s.to_static(d2s.not_to_static(lambda x: x * 2))
    assert same(static(torch.ones(2)), torch.ones(2) * 2)
    assert not static.programs


@pytest.mark.parametrize("target", [3, dict], ids=str)
def test_what_can_not_be_kept(target: Any) -> None:
    with pytest.raises(d2s.D2SError, match="not_to_static"):
        d2s.not_to_static(target)


def test_a_python_module_that_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "library.py"
    path.write_text("def size(x):\n    return x.shape[0] if x.dim() else 0\n\n\ndef twice(x):\n    return x * 2\n")
    library = load_module(path)
    d2s.ignore_module(library)

    static = d2s.to_static(lambda x: library.twice(x) * library.size(x), full_graph=True)
    assert same(static(torch.ones(3)), torch.ones(3) * 6)
    assert "twice" not in str(static.programs[0])
    with pytest.raises(d2s.D2SError, match="ignore_module"):
        d2s.ignore_module(["library"])  # type: ignore[list-item]


def test_everything_off() -> None:
    static = d2s.to_static(lambda x: x * 2 if x.sum() > 0 else x, full_graph=True)
    d2s.enable_to_static(False)
    try:
        assert same(static(torch.ones(2)), torch.ones(2) * 2)
        assert not static.programs
    finally:
        d2s.enable_to_static(True)
    static(torch.ones(2))
    assert len(static.programs) == 1
    with pytest.raises(d2s.D2SError, match="True or False"):
        d2s.enable_to_static("no")  # type: ignore[arg-type]


def test_a_kept_function_with_state_runs_in_eager_with_its_caller() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        @d2s.not_to_static
        def count(self, x):
            self.calls += 1
            return x * self.calls

        def forward(self, x):
            return self.count(x) + 1

    net = d2s.to_static(Counts())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answers = [net(torch.ones(2)) for _ in range(3)]
    assert [answer[0].item() for answer in answers] == [2, 3, 4]
    assert net.calls == 3
    assert "D2S306" in str(caught[0].message)

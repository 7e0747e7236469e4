"""What is told on the standard error stream."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import d2s
from d2s import conversion


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    yield
    d2s.set_verbosity(0)
    d2s.set_code_level(0)


def test_verbosity_tells_of_captures_and_fallbacks(capsys: pytest.CaptureFixture[str]) -> None:
    def doubled(x):
        return x * 2 if x.sum() > 0 else x

    def refused(x):
        return x * eval("2")

    d2s.to_static(doubled)(torch.ones(2))
    assert capsys.readouterr().err == ""
    d2s.set_verbosity(1)
    static = d2s.to_static(doubled)
    static(torch.ones(2))
    static(torch.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        d2s.to_static(refused)(torch.ones(2))
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "captured test_verbosity_tells_of_captures_and_fallbacks.<locals>.doubled: 1 inputs" in told[0]
    assert "in eager: " in told[1] and "D2S303" in told[1]
    d2s.set_verbosity(2)
    d2s.to_static(doubled)(torch.ones(3))
    assert "program doubled(" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("level", "shown", "hidden"),
    [
        (all, ["after supers", "after ifs", "after declarations"], []),
        (10, ["after ifs"], ["after loops"]),
        ("loops", ["after loops"], ["after ifs"]),
    ],
)
def test_code_levels(capsys: pytest.CaptureFixture[str], level: Any, shown: list[str], hidden: list[str]) -> None:
    def doubled(x):
        return x * 2 if x.sum() > 0 else x

    d2s.set_code_level(level)
    # A function is converted once, and this one was for the level before.
    conversion._conversions.clear()
    d2s.to_static(doubled)(torch.ones(2))
    told = capsys.readouterr().err
    assert all(f"d2s: {text}" in told for text in shown)
    assert not any(f"d2s: {text}" in told for text in hidden)


@pytest.mark.parametrize("level", [99, "nothing", 1.5])
def test_levels_that_are_none(level: Any) -> None:
    with pytest.raises(d2s.D2SError, match="level"):
        d2s.set_code_level(level)
    with pytest.raises(d2s.D2SError, match="verbosity"):
        d2s.set_verbosity(-1)


SCRIPT = """
import torch, d2s

@d2s.to_static
def doubled(x):
    return x * 2 if x.sum() > 0 else x

doubled(torch.ones(2))
"""


def test_the_environment_says_what_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)

    def run(value: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, path], capture_output=True, text=True, env={**os.environ, "D2S_LOG": value}
        )

    told = run("code, program,guards,function").stderr
    for text in ("_d2s.if_", "program doubled(", "def entry(", "def doubled(a1):"):
        assert text in told
    assert run("").stderr == ""
    wrong = run("code,nothing")
    assert wrong.returncode and "D2S_LOG names 'nothing', and can name calls, code" in wrong.stderr

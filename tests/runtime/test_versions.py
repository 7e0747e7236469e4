"""A version that was not tested is told of once, when d2s is imported, and what fails for it is not told again."""

import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import pytest
import torch

import d2s
from d2s.runtime.torch_internals.versions import untested, warn_if_untested

PRETEND = """
import warnings, torch
torch.__version__ = "2.99.0"
with warnings.catch_warnings(record=True) as found:
    warnings.simplefilter("always")
    import d2s
print(len([one for one in found if "d2s" in str(one.message)]), found[0].message)
"""


def doubled(x):
    return x * 2


def test_what_was_tested_is_not_told_of() -> None:
    assert untested() == []


@pytest.mark.parametrize("version", ["2.10.0", "2.15.0a0+git1", "3.0.0"])
def test_another_torch_is_told_of(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.warns(UserWarning, match=r"runs with torch \d\.\d+, not with 2\.11 to 2\.14"):
        warn_if_untested()


def test_one_warning_at_import() -> None:
    told = subprocess.run([sys.executable, "-c", PRETEND], capture_output=True, text=True, check=True).stdout
    assert told.startswith("1 d2s")
    assert "torch 2.99" in told


def test_what_fails_for_it_is_not_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> object:
        raise AttributeError("injected")

    monkeypatch.setattr("d2s.runtime.recording.capture.recording", broken)
    with pytest.warns(d2s.FallbackWarning, match="D2S901"):
        assert d2s.to_static(doubled)(torch.ones(1)) == 2
    monkeypatch.setattr(torch, "__version__", "2.99.0")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert d2s.to_static(doubled)(torch.ones(1)) == 2


def test_the_version_is_that_of_the_project() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert d2s.__version__ == project["version"]

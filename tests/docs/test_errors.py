"""Every code of docs/errors.md has an example that gives it, and every code of the source stands there."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from compare import outcome, same
from inventory import differences, inventory
from loading import load_module

import d2s

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "errors.md").read_text()
EXAMPLES = dict(re.findall(r"### (D2S\d+): .*?```python\n(.*?)```", TEXT, re.DOTALL))
# Has no example: it is for mistakes of d2s itself.
INTERNAL = {"D2S901"}
# Gives another answer at each call.
UNSTEADY = {"D2S204"}


def load(code: str, folder: Path) -> Any:
    path = folder / f"example_{code.lower()}.py"
    path.write_text("import torch\n\n" + EXAMPLES[code])
    return load_module(path)


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_gives_the_code(code: str, tmp_path: Path) -> None:
    example = load(code, tmp_path)
    before = inventory(example.f)
    with pytest.raises(d2s.ConversionError) as caught:
        example.call(d2s.to_static(example.f, full_graph=True))
    assert not differences(before, inventory(example.f))
    error = caught.value
    assert error.code == code, str(error)
    assert f"{code}: {example.f.__qualname__} can't be made static: " in str(error)
    assert error.location.startswith(str(example.__file__)) or code == "D2S305"
    assert error.remedy or code in ("D2S305",)


@pytest.mark.parametrize("code", EXAMPLES)
def test_the_example_runs_in_eager(code: str, tmp_path: Path) -> None:
    example = load(code, tmp_path)
    want = outcome(example.call, example.f)
    again = load(code, tmp_path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        got = outcome(again.call, d2s.to_static(again.f))
    assert same(want, got) or code in UNSTEADY
    messages = [str(warning.message) for warning in caught if warning.category is d2s.FallbackWarning]
    assert len(messages) == 1 and code in messages[0]
    assert torch.is_grad_enabled()


def test_every_code_is_told() -> None:
    used = set()
    for package in ("d2s", "runtime", "transforms"):
        for path in (ROOT / package).rglob("*.py"):
            used |= set(re.findall(r'"(D2S\d{3})"', path.read_text()))
    assert used == EXAMPLES.keys() | INTERNAL

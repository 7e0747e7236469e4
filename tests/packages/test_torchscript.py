"""Models of packages that were compiled by TorchScript, rescued into ordinary code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from kornia import color, feature, losses
from transformers import BertConfig, BertModel

import d2s


def _image(seed: int, channels: int, size: int) -> torch.Tensor:
    return torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(seed))


SCRIPTED: dict[str, tuple[Any, list[tuple[Any, ...]]]] = {
    "hardnet": (lambda: feature.HardNet(False), [(_image(seed, 1, 32),) for seed in range(3)]),
    "sosnet": (lambda: feature.SOSNet(False), [(_image(seed, 1, 32),) for seed in range(3)]),
    "tfeat": (lambda: feature.TFeat(False), [(_image(seed, 1, 32),) for seed in range(3)]),
    "lab": (color.RgbToLab, [(_image(seed, 3, 4),) for seed in range(3)]),
    "hsv": (color.RgbToHsv, [(_image(seed, 3, 4),) for seed in range(3)]),
    "focal": (
        lambda: losses.FocalLoss(0.5, 2.0, "mean"),
        [(torch.randn(3, 4), torch.tensor([0, 1, 3])), (torch.randn(2, 5), torch.tensor([4, 0]))],
    ),
}


def _check(script: Any, path: Path, calls: list[tuple[Any, ...]]) -> str:
    """Rescue a file, and compare; the source."""
    script.save(path)
    program = d2s.from_torchscript(path)
    dynamic = d2s.to_dynamic(program, path.with_suffix(".py"))
    for args in calls:
        want = script(*args)
        torch.testing.assert_close(program(*args), want)
        torch.testing.assert_close(dynamic(*args), want)
    return path.with_suffix(".py").read_text()


@pytest.mark.parametrize("name", SCRIPTED)
def test_scripted_models_of_kornia(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    make, calls = SCRIPTED[name]
    _check(torch.jit.script(make().eval()), tmp_path / "model.pt", calls)


def test_a_traced_transformer(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        attn_implementation="eager", return_dict=False,
    )  # fmt: skip
    model = BertModel(config).eval()
    calls = [(torch.randint(50, (2, 7)), torch.ones(2, 7, dtype=torch.int64)) for _ in range(3)]
    source = _check(torch.jit.trace(model, calls[0], strict=False), tmp_path / "bert.pt", calls)
    assert "nn.Embedding(50, 16" in source and "nn.LayerNorm(16" in source and "nn.Linear(16, 32)" in source

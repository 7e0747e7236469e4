"""`d2s save`, `d2s inspect` of an archive, and `d2s rescue`."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

import d2s
from d2s.cli import BAD_INPUT, main

SOURCE = """import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(16, 4)

    def forward(self, x, limit=3.0):
        x = self.layer(x)
        while x.abs().max() > limit:
            x = x / 2
        return x


def doubled(x, n):
    for _ in range(n):
        if x.sum() > 0:
            x = x * 2
    return x
"""


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(SOURCE)
    return tmp_path


def test_save_a_module(net: Path) -> None:
    assert main(["save", "net.py:Net", "--input", "f32[batch,16]", "-o", "net.d2s"]) == 0
    eager = runpy.run_path("net.py")["Net"]()
    loaded = d2s.load("net.d2s")
    for scale in (1.0, 50.0):
        x = torch.randn(5, 16) * scale
        torch.testing.assert_close(loaded(x), eager(x))


def test_save_a_function_with_a_value(net: Path) -> None:
    assert main(["save", "net.py:doubled", "--input", "f32[3]", "--input", "4", "-o", "doubled.d2s"]) == 0
    loaded = d2s.load("doubled.d2s")
    torch.testing.assert_close(loaded(torch.ones(3), 4), torch.full((3,), 16.0))
    torch.testing.assert_close(loaded(-torch.ones(3), 4), -torch.ones(3))


def test_inspect_an_archive(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["save", "net.py:Net", "--input", "f32[batch,16]", "-o", "net.d2s"])
    assert main(["inspect", "net.d2s"]) == 0
    shown = capsys.readouterr().out
    assert "layer.weight: float32[4, 16]" in shown
    assert "program forward(" in shown and " = while" in shown and "def forward(" in shown


def test_rescue_a_file_of_torchscript(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = torch.jit.script(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU()))
    script.save("old.pt")
    assert main(["rescue", "old.pt", "-o", "model.py"]) == 0
    assert "model_weights.pt" in capsys.readouterr().out
    module = runpy.run_path("model.py")["Sequential"]()
    module.load_state_dict(torch.load("model_weights.pt", weights_only=True))
    x = torch.randn(4, 2)
    torch.testing.assert_close(module(x), script(x))
    assert main(["rescue", "old.pt"]) == 0
    assert capsys.readouterr().out == (net / "model.py").read_text()


def test_rescue_an_archive_and_an_exported_program(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["save", "net.py:Net", "--input", "f32[batch,16]", "-o", "net.d2s"])
    assert main(["rescue", "net.d2s"]) == 0
    assert "while x.abs().max() > 3.0:" in capsys.readouterr().out
    torch.export.save(torch.export.export(torch.nn.Linear(2, 3), (torch.ones(1, 2),)), "linear.pt2")
    assert main(["rescue", "linear.pt2"]) == 0
    assert "class Linear(nn.Module):" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["save", "net.py:Net", "--input", "f32[3,5]", "-o", "net.d2s"], "shapes cannot be multiplied"),
        (["save", "net.py:Net", "--input", "f32[3,16]", "-o", "none/net.d2s"], "none: is no folder"),
        (["save", "net.py:Other", "-o", "net.d2s"], "Other"),
        (["inspect", "none.d2s"], "none.d2s: No such file"),
        (["inspect", "broken.d2s"], "broken.d2s"),
        (["rescue", "none.pt"], "none.pt: No such file"),
        (["rescue", "net.py"], "net.py is no file of TorchScript"),
        (["rescue", "."], "is a folder"),
        (["rescue", "old_weights.pt", "-o", "old.py"], "is the file to rescue"),
    ],
)
def test_bad_input(net: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    (net / "broken.d2s").write_bytes(b"no archive")
    torch.jit.script(torch.nn.Linear(2, 3)).save("old_weights.pt")
    before = {path: path.read_bytes() for path in net.iterdir()}
    assert main(arguments) == BAD_INPUT
    assert told in capsys.readouterr().err
    assert {path: path.read_bytes() for path in net.iterdir() if path.is_file()} == before

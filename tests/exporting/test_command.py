"""`d2s export` writes each kind of file, and nothing when it fails."""

import onnxruntime
import pytest
import torch

import d2s
from d2s.cli import main

SOURCE = """
import torch
from torch import nn


class Halving(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        x = self.dropout(self.linear(x))
        while x.abs().sum() > 1:
            x = x / 2
        return x


def listed(x):
    found = []
    while x.sum() > 1:
        found.append(x)
        x = x / 2
    return found
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.py"
    path.write_text(SOURCE)
    return path


def loaded(kind, path):
    """What runs a file, as a function of a tensor."""
    match kind:
        case "onnx":
            session = onnxruntime.InferenceSession(str(path))
            return lambda x: torch.as_tensor(session.run(None, {"x": x.numpy()})[0])
        case "pt2":
            return torch.export.load(path).module()
        case "aoti":
            return torch._inductor.aoti_load_package(str(path))
        case "d2s":
            return d2s.load(path).eval()


@pytest.mark.parametrize("kind", ["onnx", "pt2", "aoti", "d2s"])
def test_each_kind(file, tmp_path, kind):
    out = tmp_path / "out"
    assert main(["export", f"{file}:Halving", "--input", "f32[batch,4]", "--to", kind, "-o", str(out)]) == 0
    run = loaded(kind, out)
    with torch.no_grad():
        for x in (torch.ones(2, 4) * 9, torch.zeros(5, 4)):
            found = run(x)
            assert found.shape == (len(x), 2) and found.abs().sum() <= 1
            assert torch.equal(found, run(x)), "there is no dropout in it"


@pytest.mark.parametrize("kind", ["onnx", "pt2", "aoti"])
def test_a_failure_leaves_the_old_file(file, tmp_path, kind, capsys):
    out = tmp_path / "out"
    out.write_text("old")
    assert main(["export", f"{file}:listed", "--input", "f32[4]", "--to", kind, "-o", str(out)]) == 2
    assert "model.py:22: append" in capsys.readouterr().err
    assert out.read_text() == "old" and {one.name for one in tmp_path.iterdir()} <= {"model.py", "out", "__pycache__"}

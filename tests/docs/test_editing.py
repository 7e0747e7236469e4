"""The guide to editing: its code runs in order, and what it says comes out."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

GUIDE = Path(__file__).parents[2] / "docs" / "editing.md"


def test_the_code_of_the_guide_runs(tmp_path, capsys):
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 4
    file = tmp_path / "guide.py"
    file.write_text("\n".join(blocks), encoding="utf-8")
    guide: dict[str, Any] = {"__name__": "guide", "__file__": str(file)}
    exec(compile(file.read_text(encoding="utf-8"), str(file), "exec"), guide)
    printed = capsys.readouterr().out
    assert "torch.nn.functional.gelu(" in printed and "not finite any more" in printed
    net, x, steps, swapped = (guide[name] for name in ("net", "x", "inside", "smooth"))
    eager = x
    for y in steps(x):
        torch.testing.assert_close(y, torch.relu(net.layer(eager)))
        eager = y + eager
    torch.testing.assert_close(guide["before_the_head"](x), eager)
    torch.testing.assert_close(guide["checked"](x), net(x))
    assert net.layer.weight.grad is swapped.layer.weight.grad is not None
    assert not torch.allclose(swapped(x), net(x))

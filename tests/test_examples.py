"""The examples run as scripts, and their functions are one program that does what eager does."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

import d2s

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def load(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def run(name: str) -> str:
    command = [sys.executable, "-W", "ignore", str(EXAMPLES / f"{name}.py")]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_adaptive_rnn_script() -> None:
    printed = run("adaptive_rnn")
    rows = printed.splitlines()[1:4]
    trips = [row.split()[-1] for row in rows]
    assert len(set(trips)) == 3, "the inputs halt after the same number of steps"
    assert all(row.split()[-3] == row.split()[-1] for row in rows)
    assert "programs captured: 1\n" in printed
    assert "_d2s.while_(loop_test, loop_body" in printed
    assert "= while" in printed


def test_adaptive_rnn_trains_like_eager() -> None:
    module = load("adaptive_rnn")
    torch.manual_seed(0)
    eager = module.AdaptiveRNN()
    static = module.AdaptiveRNN()
    static.load_state_dict(eager.state_dict())
    d2s.to_static(static, full_graph=True)
    for confidence in (0.2, 0.9, 0.99):
        x = torch.randn(3, 8)
        for net in (eager, static):
            net.zero_grad()
            net(x, torch.tensor(confidence))[0].pow(2).sum().backward()
        for (name, want), got in zip(eager.named_parameters(), static.parameters(), strict=True):
            assert (want.grad is None) == (got.grad is None) == name.startswith("halt"), name
            assert want.grad is None or torch.equal(want.grad, got.grad), name
    assert len(static.forward.programs) == 1


def test_greedy_decode_script() -> None:
    printed = run("greedy_decode")
    lengths = [line.split()[0] for line in printed.splitlines()[1:7:2]]
    assert len(set(lengths)) > 1
    assert "programs captured: 1\n" in printed


def test_greedy_decode_stops_where_eager_stops() -> None:
    module = load("greedy_decode")
    static = d2s.to_static(module.greedy_decode, full_graph=True)
    weights = module.parameters()
    lengths = set()
    for seed in range(12):
        h = torch.randn(1, 16, generator=torch.Generator().manual_seed(seed))
        want, length = module.greedy_decode(h, weights)
        got, static_length = static(h, weights)
        assert torch.equal(want, got) and length == static_length and type(static_length) is int
        lengths.add(length)
    assert len(lengths) > 1
    assert len(static.programs) == 1

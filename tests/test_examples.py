"""The examples run as scripts, and their functions are one program that does what eager does."""

from __future__ import annotations

import copy
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from loading import load_module

import d2s

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def load(name: str) -> Any:
    return load_module(EXAMPLES / f"{name}.py")


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
    eager, static = module.decoder(), d2s.to_static(module.decoder(), full_graph=True)
    lengths = set()
    for seed in range(12):
        h = torch.randn(1, 16, generator=torch.Generator().manual_seed(seed))
        with torch.no_grad():
            want, length = eager(h)
            got, static_length = static(h)
        assert torch.equal(want, got) and length == static_length and type(static_length) is int
        lengths.add(length)
    assert len(lengths) > 4
    assert len(static.forward.programs) == 1


def test_linear_regression_script() -> None:
    printed = run("linear_regression")
    for row in printed.splitlines()[1:3]:
        numbers = row.split()
        assert numbers[3:6] == numbers[6:9]
    assert "programs captured: 1\n" in printed and "float32[] from self.w,  # parameter" in printed


def test_linear_regression_learns_its_two_numbers() -> None:
    module = load("linear_regression")
    static = d2s.to_static(module.LinearRegression(0.0, 0.0), full_graph=True)
    x = torch.linspace(-1, 1, 16)
    optimizer = torch.optim.SGD(static.parameters(), lr=0.5)
    for _ in range(60):
        optimizer.zero_grad()
        (static(x) - module.LinearRegression(2.0, -1.0)(x).detach()).square().mean().backward()
        optimizer.step()
    assert torch.allclose(torch.stack([static.w, static.b]), torch.tensor([2.0, -1.0]), atol=1e-3)
    assert len(static.forward.programs) == 1


def test_dynamic_linear_regression_draws_at_each_call() -> None:
    rows = [line.split() for line in run("dynamic_linear_regression").splitlines()[1:]]
    of = {name: [row[1:] for row in rows if row[0] == name] for name in ("eager", "static", "traced")}
    assert of["static"] == of["eager"] and len(of["eager"]) == 3
    assert len({tuple(row) for row in of["static"]}) == 3, "the static function repeats a draw"
    assert len({tuple(row) for row in of["traced"]}) == 1


def test_dynamic_linear_regression_is_one_program() -> None:
    module = load("dynamic_linear_regression")
    eager, static = module.DynamicLinearRegression(), d2s.to_static(module.DynamicLinearRegression(), full_graph=True)
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    for seed in range(3):
        answers = []
        for model in (eager, static):
            random.seed(seed)
            y, gradient = model(x)
            answers.append([y, gradient, *torch.autograd.grad(gradient.sum() + y.sum(), x)])
        assert all(map(torch.equal, *answers))
    assert len(static.forward.programs) == 1


def test_train_mlp_script() -> None:
    printed = run("train_mlp")
    rows = [row.split() for row in printed.splitlines()[1:5]]
    assert all(dynamic == static for _, dynamic, static in rows)
    assert float(rows[-1][1]) < float(rows[0][1]) / 5, "nothing was learned"
    assert "parameters differ by 0 after 100 steps" in printed
    evaluated, loaded, back = (line for line in printed.splitlines() if line.startswith(("error", "trained")))
    dynamic, static = evaluated.split()[-3::2]
    assert dynamic == static == loaded.split()[-1]
    assert back.split()[-1] == back.split()[-3] != static
    assert "programs captured: 2" in printed, "one to train and one to evaluate"


def test_train_mlp_takes_both_ways() -> None:
    module = load("train_mlp")
    eager = module.MLP()
    static = d2s.to_static(copy.deepcopy(eager), full_graph=True)
    for scale in (0.1, 10.0):
        x = torch.randn(5, 4) * scale
        assert (x.abs().max() > 3) == (scale == 10.0)
        assert torch.equal(static(x), eager(x))
    assert len(static.forward.programs) == 1


def test_both_ways_script() -> None:
    printed = run("both_ways")
    rows = [line for line in printed.splitlines() if line.startswith(("dynamic", "static", "loaded", "source code"))]
    assert len(rows) == 5
    for row in rows:
        numbers = row.split()[-4:]
        assert numbers[:2] == numbers[2:]
    assert "while change > 0.3 and trips < 6:" in printed


def test_both_ways_is_training_in_eager(tmp_path: Path) -> None:
    module = load("both_ways")
    losses, evaluations, model = module.changing(tmp_path)
    wanted, expected, eager = module.in_eager()
    assert len(losses) == 5 * module.STEPS and len(set(losses)) > module.STEPS
    torch.testing.assert_close(losses, wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(evaluations, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(dict(model.state_dict()), dict(eager.state_dict()), rtol=1e-3, atol=1e-4)
    assert "d2s" not in (tmp_path / "model.py").read_text()

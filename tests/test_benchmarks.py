"""The benchmark runs, compares what the contenders answer, and writes its figures; not tested is how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_benchmark_measures_every_contender(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [
        sys.executable,
        "benchmarks/run.py",
        "--rounds",
        "2",
        "--cases",
        "tree",
        "--sizes",
        "small",
        "--longest",
        "1000",
        "--json",
        str(figures),
    ]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "small, inference" in printed and "small, training" in printed
    assert "all sizes, inference" in printed and "all sizes, training" in printed
    assert printed.count("times as fast as the better of torch.compile and torch.jit.script") == 4
    found = json.loads(figures.read_text())
    assert [(row["case"], row["kind"]) for row in found["rows"]] == [("tree", "inference"), ("tree", "training")]
    for row in found["rows"]:
        by_hand = {"by hand"} if row["kind"] == "inference" else set()
        entered = {"eager", "d2s", "d2s, inductor", "torch.compile", "torch.jit.script"} | by_hand
        measured = entered - row["failures"].keys()
        assert {"eager", "d2s", "d2s, inductor"} <= measured, row["failures"]
        assert row["ratio"].keys() == row["seconds"].keys() == row["first_result_seconds"].keys() == measured
        assert row["ratio"]["eager"] == 1.0 and all(ratio > 0 for ratio in row["ratio"].values())
    assert {"guards of 100 layers, us", "call of an identity function, d2s, us", "8 forks to 1"} <= found[
        "costs"
    ].keys()

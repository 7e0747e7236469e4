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
        "MLP",
        "--longest",
        "1000",
        "--json",
        str(figures),
    ]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "MLP, inference" in printed and "MLP, training" in printed
    found = json.loads(figures.read_text())
    assert [(row["case"], row["kind"]) for row in found["rows"]] == [("MLP", "inference"), ("MLP", "training")]
    for row in found["rows"]:
        measured = {"eager", "d2s", "torch.compile", "torch.jit.script"} - row["failures"].keys()
        assert {"eager", "d2s"} <= measured, row["failures"]
        assert row["ratio"].keys() == row["seconds"].keys() == row["first_result_seconds"].keys() == measured
        assert row["ratio"]["eager"] == 1.0 and all(ratio > 0 for ratio in row["ratio"].values())
    assert {"guards of 100 layers, us", "call of an identity function, d2s, us", "8 forks to 1"} <= found[
        "costs"
    ].keys()

"""What capturing costs: as a function gets longer, as a loop has more trips, as forks follow one another."""

from __future__ import annotations

import importlib.util
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import d2s

_OPS = 100, 1_000, 10_000
_TRIPS = 20, 2_000
_FORKS = 1, 8
_FORK = """
    try:
        if x.sum() > {0}:
            raise ValueError
        x = x + 1
    except ValueError:
        x = x - {0}"""


def capture_costs(rounds: int = 3, longest: int = _OPS[-1]) -> dict[str, float]:
    """Milliseconds of the first call of each function, the least of some rounds, and how they grow.

    Each round is of a new function, whose source is read and rewritten. `longest` bounds the number of ops.
    """
    lengths = [length for length in _OPS if length <= longest]
    bodies = {
        **{("ops", n): ("".join(f"\n    x = x + {i}" for i in range(n)), n) for n in lengths},
        **{("trips", n): ("\n    for i in range(n):\n        x = x + i", n) for n in _TRIPS},
        **{("forks", n): ("".join(_FORK.format(i) for i in range(n)), n) for n in _FORKS},
    }
    times: dict[tuple[str, int], list[float]] = {key: [] for key in bodies}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            for key, (body, n) in bodies.items():
                times[key].append(_first_call(_function(folder, f"{key[0]}_{n}_{number}", body), n))
    least = {key: min(found) * 1e3 for key, found in times.items()}
    growth = [(least["ops", after] / after) / (least["ops", n] / n) for n, after in itertools.pairwise(lengths)]
    return {
        **{f"first call, {n} {what}, ms": cost for (what, n), cost in least.items()},
        **{
            f"an op among {n} to one among ten times less": ratio
            for n, ratio in zip(lengths[1:], growth, strict=True)
        },
        "a loop of 2000 trips to one of 20": least["trips", _TRIPS[1]] / least["trips", _TRIPS[0]],
        "8 forks to 1": least["forks", _FORKS[1]] / least["forks", _FORKS[0]],
    }


def _function(folder: str, name: str, body: str) -> Callable[..., Any]:
    """A function with a source, which d2s reads."""
    path = Path(folder) / f"{name}.py"
    path.write_text(f"def {name}(x, n):{body}\n    return x\n")
    return getattr(_loaded(name, path), name)


def _loaded(name: str, path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _first_call(function: Callable[..., Any], n: int) -> float:
    static = d2s.to_static(function, full_graph=True)
    start = time.perf_counter()
    static(torch.ones(2), n)
    return time.perf_counter() - start

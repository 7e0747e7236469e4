"""Measures d2s, eager and what else makes PyTorch fast in one run, in turns, so that noise hits all of them alike.

Prints tables of ratios to eager, writes all figures as JSON and draws them. Run: make bench
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from captures import capture_costs
from cases import IDENTITY, SIZES, Case, Layers, inference, training_step
from contenders import instances
from models.networks import EarlyExit
from rich.progress import track
from tables import show
from torch.utils._pytree import tree_leaves

import d2s

Step = Callable[[], Any]
KINDS = {"inference": inference, "training": training_step}
# The shortest time of one measurement, in seconds: short calls are repeated.
SHORTEST = 0.002
# Calls before measuring: torch.compile compiles again for a while, and d2s tries whether compiled is faster.
WARM_UP = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="measurements of each contender")
    parser.add_argument("--cases", nargs="*", help="names of cases, if not all")
    parser.add_argument("--sizes", nargs="*", choices=SIZES, default=list(SIZES), help="sizes, if not all")
    parser.add_argument("--kinds", nargs="*", choices=KINDS, default=list(KINDS), help="if not both")
    parser.add_argument("--longest", type=int, default=10_000, help="most ops of a function that is captured")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results.json"), help="where the figures go")
    parser.add_argument("--plot", type=Path, help="where a picture goes, if one is to be drawn")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # of torch.jit, which is deprecated
    chosen = [
        (case, size, kind)
        for size in options.sizes
        for case in SIZES[size]
        for kind in options.kinds
        if (not options.cases or case.name in options.cases) and (case.trains or kind == "inference")
    ]
    with tempfile.TemporaryDirectory() as cache:
        # What was compiled in earlier runs is not to be found: the first result is to be the first.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.environ["D2S_CACHE_DIR"] = cache
        _import_all()
        rows = [
            measure(case, kind, options.rounds) | {"size": size} for case, size, kind in track(chosen, "measuring")
        ]
        costs = call_costs(options.rounds) | capture_costs(longest=options.longest)
    options.json.write_text(json.dumps({"machine": _machine(), "rows": rows, "costs": costs}, indent=1) + "\n")
    if options.plot is not None:
        from plot import draw  # it needs matplotlib

        draw(rows, options.plot)
    show(rows)
    for name, cost in costs.items():
        print(f"{name}: {cost:.1f}")
    print(f"all figures: {options.json}")


def measure(case: Case, kind: str, rounds: int) -> dict[str, Any]:
    """Time to the first result, and medians: of the time of a call, and of its ratio to eager's in the same round."""
    way = KINDS[kind]
    torch.manual_seed(0)
    inputs = case.inputs()
    torch.compiler.reset()
    first: dict[str, float] = {}
    steps: dict[str, Step] = {}
    failures: dict[str, str] = {}
    want: Any = None
    for name, model in instances(case, kind).items():
        try:
            if isinstance(model, Exception):
                raise model

            def step(model: Any = model) -> Any:
                return way(model, inputs)

            start = time.perf_counter()
            answer = step()
            first[name] = time.perf_counter() - start
            want = answer if want is None else want
            _check(answer, want)
            for _ in range(WARM_UP):
                step()
            steps[name] = step
        except Exception as error:
            if name == "eager":
                raise
            failures[name] = f"{type(error).__name__}: {str(error).strip().splitlines()[0]}"
    times = _in_turns(steps, rounds)
    return {
        "case": case.name,
        "kind": kind,
        "seconds": {name: statistics.median(taken) for name, taken in times.items()},
        "ratio": {
            name: statistics.median(one / base for one, base in zip(taken, times["eager"], strict=True))
            for name, taken in times.items()
        },
        "first_result_seconds": first,
        "failures": failures,
    }


def call_costs(rounds: int) -> dict[str, float]:
    """What calls cost besides the work: an identity function's over eager's, and the guards of some modules."""
    row = measure(IDENTITY, "inference", rounds)
    eager = row["seconds"]["eager"]
    found = {
        f"call of an identity function, {name}, us": (seconds - eager) * 1e6
        for name, seconds in row["seconds"].items()
        if name != "eager"
    }
    times = {}
    for name, (module, x) in _guarded().items():
        static = d2s.to_static(module, full_graph=True)
        static(x)
        times[f"guards of {name}, us"] = _guards(static, x)
    medians = _in_turns({"eager": lambda: None, **times}, rounds)
    return found | {name: statistics.median(medians[name]) * 1e6 for name in times}


def _guarded() -> dict[str, tuple[Any, torch.Tensor]]:
    """Modules, each with an input, whose guards are measured."""
    return {
        "100 layers": (Layers(), torch.randn(8, 32)),
        "a transformer of two layers": (EarlyExit(32, 4, 2, 0.3), torch.randn(1, 16, 32)),
    }


def _guards(static: Any, x: torch.Tensor) -> Step:
    entry = static.forward.programs[0].inputs_for
    return lambda: entry(static, x)


def _check(answer: Any, want: Any) -> None:
    """Raise unless two answers are equal; a number may be a tensor in one of them, None is no gradient."""
    for one, other in zip(tree_leaves(answer), tree_leaves(want), strict=True):
        if other is None:
            assert one is None, "a gradient of what eager has none of"
            continue
        torch.testing.assert_close(torch.as_tensor(one), torch.as_tensor(other), rtol=1e-4, atol=1e-4)


def _in_turns(steps: dict[str, Step], rounds: int) -> dict[str, list[float]]:
    """The seconds of a call in each round; in every round each contender is measured once, in another order."""
    repeats = {name: _repeats(step) for name, step in steps.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    order = list(steps)
    for _ in range(rounds):
        random.shuffle(order)
        for name in order:
            times[name].append(_time(steps[name], repeats[name]))
    return times


def _repeats(step: Step) -> int:
    return max(1, round(SHORTEST / _time(step, 3)))


def _time(step: Step, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def _import_all() -> None:
    """Have torch import what its tracing needs, which it does at the first use and only once."""
    d2s.to_static(lambda x: x * 2, full_graph=True)(torch.ones(2))
    torch.compile(lambda x: x * 2)(torch.ones(2))
    torch.jit.script(torch.nn.ReLU())


def _machine() -> dict[str, Any]:
    return {"python": platform.python_version(), "torch": torch.__version__, "processor": platform.machine()}


if __name__ == "__main__":
    main()

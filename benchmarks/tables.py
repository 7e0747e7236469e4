"""Shows what was measured: a table for each size and kind, and what it comes to over the models that branch."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import geometric_mean
from typing import Any

from cases import LARGE, SMALL
from contenders import CONTENDERS
from rich import box
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
WIDTH = 118
# What d2s is compared with, at their best.
RIVALS = "torch.compile", "torch.jit.script"


def show(rows: list[Row]) -> None:
    """Print it all, with what failed and why."""
    console = Console(width=WIDTH)
    for size, kind in dict.fromkeys((row["size"], row["kind"]) for row in rows):
        shown = [row for row in rows if (row["size"], row["kind"]) == (size, kind)]
        console.print(_table(shown, f"{size}, {kind}", list(CONTENDERS[kind])[1:]))
        for line in summary(shown):
            console.print(line)
    for kind in dict.fromkeys(row["kind"] for row in rows):
        console.print(f"\nall sizes, {kind}:")
        for line in summary([row for row in rows if row["kind"] == kind]):
            console.print(line)
    for row in rows:
        for name, failure in row["failures"].items():
            console.print(f"{row['case']}, {row['size']}, {row['kind']}: {name}: {failure}", markup=False)


def _table(rows: list[Row], title: str, others: list[str]) -> Table:
    """The time of a call in eager, the ratio of the others to it, and the time to the first result."""
    caption = "time of a call as a ratio to eager's; after it the seconds to the first result"
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0))
    table.add_column("case", no_wrap=True)
    table.add_column("eager us", justify="right", no_wrap=True)
    for name in others:
        table.add_column(name.replace("torch.", ""), justify="right", no_wrap=True)
        table.add_column("first", justify="right", no_wrap=True)
    for row in rows:
        cells = [row["case"], f"{row['seconds']['eager'] * 1e6:.1f}"]
        for name in others:
            cells += _cells(row, name)
        table.add_row(*cells)
    return table


def _cells(row: Row, name: str) -> list[str]:
    ratio = row["ratio"].get(name)
    if ratio is None:
        return ["failed" if name in row["failures"] else "", ""]
    return [f"{ratio:.2f}", f"{row['first_result_seconds'][name]:.1f}"]


def summary(rows: list[Row]) -> Iterable[str]:
    """How much faster d2s is, in the geometric mean over the models that branch, and where it is slower."""
    branching = {case.name for case in SMALL + LARGE}
    rows = [row for row in rows if row["case"] in branching and "d2s, inductor" in row["ratio"]]
    if not rows:
        return
    yield f"d2s, inductor, is {geometric_mean(1 / _ratio(row) for row in rows):.2f} times as fast as eager"
    with_rivals = [row for row in rows if any(name in row["ratio"] for name in RIVALS)]
    if with_rivals:
        gain = geometric_mean(_best_rival(row) / _ratio(row) for row in with_rivals)
        yield f"and {gain:.2f} times as fast as the better of {' and '.join(RIVALS)}"
    slower = [f"{row['case']} ({row['size']})" for row in rows if _ratio(row) > min(1.0, _best_rival(row))]
    yield f"it is slower than one of them on: {', '.join(slower) or 'none'}"


def _ratio(row: Row) -> float:
    return float(row["ratio"]["d2s, inductor"])


def _best_rival(row: Row) -> float:
    return min((row["ratio"][name] for name in RIVALS if name in row["ratio"]), default=float("inf"))

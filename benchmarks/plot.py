"""Draws what was measured: how many times as fast as eager each contender is on each model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from contenders import CONTENDERS
from matplotlib import pyplot

_COLOURS = {
    "d2s, inductor": "#c0392b",
    "d2s": "#e8a090",
    "torch.compile": "#2e6da4",
    "torch.jit.script": "#3a9a5b",
    "by hand": "#8a6d3b",
    "XLA": "#6c4a9e",
}
_TICKS = 0.5, 1, 2, 4, 8


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write a picture, a panel for each size and kind, in the format that the name of the file ends in."""
    matplotlib.rcParams["svg.fonttype"] = "none"
    panels = list(dict.fromkeys((row["size"], row["kind"]) for row in rows))
    figure, grid = pyplot.subplots(len(panels), 1, figsize=(8, 3.2 * len(panels)), squeeze=False)
    for axes, (size, kind) in zip(grid[:, 0], panels, strict=True):
        shown = [row for row in rows if (row["size"], row["kind"]) == (size, kind)]
        _panel(axes, shown, f"{size}, {kind}")
    handles = {line.get_label(): line for axes in grid[:, 0] for line in axes.lines if line.get_label() in _COLOURS}
    figure.legend(handles.values(), handles, loc="upper center", ncols=len(handles), frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0, 1, 0.97))
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _panel(axes: Any, rows: list[dict[str, Any]], title: str) -> None:
    names = [row["case"] for row in rows]
    for name, colour in _COLOURS.items():
        found = [(place, 1 / row["ratio"][name]) for place, row in enumerate(rows) if name in row["ratio"]]
        if found and name in CONTENDERS[rows[0]["kind"]]:
            axes.plot(*zip(*found, strict=True), "o", color=colour, label=name, markersize=6, alpha=0.85)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log", base=2)
    axes.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
    axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=8)
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{title}: times as fast as eager", fontsize=9, loc="left")

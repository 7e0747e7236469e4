"""Keeps compiled graphs on disk, so that the next process that makes the same graph loads it in milliseconds.

They are in the folder that the environment's D2S_CACHE_DIR names, else in `d2s` among the user's caches. An entry is
a package of machine code and a file with the guards of its sizes; the name is a hash of the graph, of torch's version
and of what the processor can do. It may be deleted at any time. Where D2S_CACHE_DIR is empty nothing is kept: graphs
are compiled for this process only, in half the time.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from d2s.runtime.archive.atomic import whole_file
from d2s.runtime.torch_internals.graphs import TracedGraph, compiled_graph, loaded_graph, write_graph

_log = logging.getLogger("d2s")


def cached_graph(traced: TracedGraph) -> tuple[str, Callable[..., Any]]:
    """The guards of a graph's sizes, and the graph compiled: read, or made and kept."""
    traced, constants = traced.without_constants()
    folder = _folder()
    if folder is None:
        run = compiled_graph(traced)
        guards = traced.guards()
    else:
        guards, run = _kept(traced, folder / hashlib.sha256(traced.text().encode()).hexdigest())
    return guards, (lambda *tensors: run(*tensors, *constants)) if constants else run


def _kept(traced: TracedGraph, entry: Path) -> tuple[str, Callable[..., Any]]:
    package, guards = entry.with_suffix(".pt2"), entry.with_suffix(".guards")
    if guards.exists() and package.exists():
        return guards.read_text(), loaded_graph(str(package))
    run = _made(traced, package)
    found = traced.guards()
    if package.exists():
        with whole_file(guards) as file:
            file.write(found.encode())
    return found, run


def _made(traced: TracedGraph, package: Path) -> Callable[..., Any]:
    """A graph compiled, as a package where it can be one."""
    package.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        made = Path(folder) / package.name
        try:
            write_graph(traced, str(made))
        except Exception as error:
            _log.debug("compiled for this process only", exc_info=error)
            return compiled_graph(traced)
        with whole_file(package) as file:
            file.write(made.read_bytes())
    return loaded_graph(str(package))


def _folder() -> Path | None:
    named = os.environ.get("D2S_CACHE_DIR")
    if named is not None:
        return Path(named) if named else None
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "d2s"

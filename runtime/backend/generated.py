"""Compiles generated source, and lets tracebacks and debuggers show it."""

from __future__ import annotations

import itertools
import linecache
from typing import Any

_counter = itertools.count(1)


def run_source(source: str, what: str, namespace: dict[str, Any]) -> None:
    """Run source in a namespace, under a file name that says what it is and that no other code has."""
    filename = f"<d2s {what} {next(_counter)}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec"), namespace)

"""What d2s tells of its work on the standard error stream: what it captures, and what it makes of the code."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable
from typing import Any

from d2s.conversion import conversion_of, pass_watchers
from d2s.errors import ConversionError, D2SError
from d2s.events import Event, listeners
from d2s.transforms.pipeline import passes
from d2s.transforms.printing import to_source

# What D2S_LOG may name, separated by commas.
ARTIFACTS = ("calls", "code", "program", "guards", "function")


class _State:
    verbosity = 0
    shown: frozenset[str] = frozenset()
    passes: frozenset[str] = frozenset()


def set_verbosity(level: int = 1) -> None:
    """How much is told: 0 nothing, 1 each capture and each function that runs in eager, 2 also the programs."""
    if type(level) is not int or level < 0:
        raise D2SError(f"the verbosity is 0, 1 or 2, not {level!r}")
    _State.verbosity = level


def set_code_level(level: Any = builtins.all) -> None:
    """Show the code of each function after a pass, when it is converted for the first time.

    Args:
        level: the number of the pass, from 1; its name; `all` for every pass; 0 or None for none.
    """
    names = [name for name, _ in passes()]
    if level is builtins.all or level == "all":
        _State.passes = frozenset(names)
    elif level in names:
        _State.passes = frozenset({level})
    elif type(level) is int and 0 < level <= len(names):
        _State.passes = frozenset({names[level - 1]})
    elif level in (0, None):
        _State.passes = frozenset()
    else:
        raise D2SError(
            f"the code level is a number up to {len(names)}, all, or one of {', '.join(names)}: not {level!r}"
        )


def read_environment() -> None:
    """Take over what D2S_LOG says.

    Raises:
        D2SError: it names something that can't be shown.
    """
    named = [name.strip() for name in os.environ.get("D2S_LOG", "").split(",") if name.strip()]
    unknown = [name for name in named if name not in ARTIFACTS]
    if unknown:
        raise D2SError(f"D2S_LOG names {unknown[0]!r}, and can name {', '.join(ARTIFACTS)}")
    _State.shown = frozenset(named)


def _show(name: str, tree: Any) -> None:
    if name in _State.passes:
        _tell(f"after {name}", to_source(tree))


def _log(event: Event) -> None:
    name, outcome = event.function.__qualname__, event.outcome
    if isinstance(outcome, ConversionError):
        if _State.verbosity or "calls" in _State.shown:
            _tell(f"in eager: {outcome}")
        return
    if _State.verbosity or "calls" in _State.shown:
        _tell(f"captured {name}: {len(outcome.program.inputs)} inputs, {len(outcome.guards)} guards")
    shown = _State.shown | (frozenset({"program"}) if _State.verbosity > 1 else frozenset())
    parts: dict[str, Callable[[], str]] = {
        "code": lambda: conversion_of(event.function).source,
        "program": lambda: str(outcome),
        "guards": lambda: outcome.guard_code,
        "function": lambda: outcome.code,
    }
    for kind, text in parts.items():
        if kind in shown:
            _tell(f"{kind} of {name}", text())


def _tell(head: str, text: str = "") -> None:
    body = "\n" + text.rstrip() if text else ""
    print(f"d2s: {head}{body}", file=sys.stderr)


listeners.append(_log)
pass_watchers.append(_show)
read_environment()

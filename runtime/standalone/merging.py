"""Merges programs that are the same, so that one is for the signatures and modes of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from d2s.runtime.ir.canonical import canonical
from d2s.runtime.recording.capture import Capture


def merged(captures: Iterable[Capture]) -> list[Capture]:
    """The captures, with one in place of those of equal programs: it assumes only what all of those do."""
    found: dict[object, Capture] = {}
    for capture in captures:
        key = canonical(capture.program), capture.asks_of
        found[key] = _both(found[key], capture) if key in found else capture
    return list(found.values())


def _both(first: Capture, second: Capture) -> Capture:
    checks = {guard.source: guard.check for guard in second.guards}
    kept = [guard for guard in first.guards if checks.get(guard.source) == guard.check]
    return replace(first, guards=kept, any_grad_mode=first.any_grad_mode or second.any_grad_mode)

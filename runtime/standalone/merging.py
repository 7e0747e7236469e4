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
        first = found.setdefault(key, capture)
        kept = [guard for guard in first.guards if guard in capture.guards]
        found[key] = replace(first, guards=kept, any_grad_mode=first.any_grad_mode or capture.any_grad_mode)
    return list(found.values())

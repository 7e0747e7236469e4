"""Writes the table of `docs/guards.md` from the table of kinds: `make guards`."""

from __future__ import annotations

from pathlib import Path

from d2s.runtime.recording.kinds import TABLE

_DOCUMENT = Path(__file__).parents[2] / "docs" / "guards.md"
_START, _END = "<!-- kinds -->\n", "<!-- end of kinds -->\n"


def document() -> tuple[str, str]:
    """`docs/guards.md` as it is, and as it should be."""
    text = _DOCUMENT.read_text()
    head, rest = text.split(_START)
    return text, head + _START + table() + _END + rest.split(_END)[1]


def write_document() -> None:
    """Bring `docs/guards.md` up to date."""
    _DOCUMENT.write_text(document()[1])


def table() -> str:
    """How each kind of object is guarded."""
    lines = ["| an object of this kind | must have the same |", "|---|---|"]
    return "\n".join([*lines, *(f"| {kind.name} | {kind.guarded} |" for kind in TABLE)]) + "\n"

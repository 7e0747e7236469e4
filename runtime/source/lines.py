"""Lines of Python with their indentation, and with the lines that they come from as comments if that is wanted."""

from __future__ import annotations

import linecache
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from d2s.runtime.errors import Location

_INDENT = "    "


class Lines:
    """`lines` are those that have been added."""

    def __init__(self, comments: bool):
        self.lines: list[str] = []
        self._comments = comments
        self._depth = 0
        self._last: Location | None = None

    def line(self, text: str, location: Location | None = None) -> None:
        """Add a line, or the lines of one statement; `location` is where the user's code has it."""
        self._comment(location)
        self.add(text.split("\n"))

    def add(self, lines: Iterable[str]) -> None:
        """Add lines that are indented among themselves."""
        self.lines.extend(_INDENT * self._depth + line if line else "" for line in lines)

    @contextmanager
    def under(self, head: str, location: Location | None = None) -> Iterator[None]:
        """Indent what is added below this line, which is a `pass` if it is nothing."""
        self.line(head, location)
        self._depth += 1
        start = len(self.lines)
        yield
        if len(self.lines) == start:
            self.line("pass")
        self._depth -= 1

    @contextmanager
    def apart(self) -> Iterator[list[str]]:
        """Add what comes to a list of its own instead, for `add`."""
        outside, self.lines, depth, self._depth = self.lines, [], self._depth, 0
        yield self.lines
        self.lines, self._depth = outside, depth

    def _comment(self, location: Location | None) -> None:
        if not self._comments or location is None or location == self._last:
            return
        self._last = location
        text = linecache.getline(location.filename, location.line).strip()
        if text:
            self.add([f"# {text}"])

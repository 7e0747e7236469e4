"""`explain`: which functions of a call are captured and which run in eager, where, why, and what to change."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from d2s.api import original, to_static
from d2s.copies import copied
from d2s.errors import ConversionError, FallbackWarning
from d2s.events import Event, listeners
from d2s.fallback import fresh_forms
from d2s.programs import DEFAULT
from d2s.runtime.backend.execution import Executable
from d2s.runtime.ir.program import Call, If, While, walk_ops


@dataclass(frozen=True)
class Entry:
    """What became of one function.

    `location` is the file and line of the function, or of what can't be captured; `executable` its program, None if
    it runs in eager, for the reason `reason` with the code `code`.
    """

    function: str
    location: str
    executable: Executable | None = None
    code: str = ""
    reason: str = ""
    remedy: str = ""

    @property
    def captured(self) -> bool:
        """Whether the function runs as a program."""
        return self.executable is not None

    def __str__(self) -> str:
        if self.executable is None:
            lines = [f"eager     {self.function}", f"          {self.location}: {self.code}: {self.reason}"]
            return "\n".join([*lines, f"          change: {self.remedy}"] if self.remedy else lines)
        ops = list(walk_ops(self.executable.program.body))
        counts = [
            _many(sum(isinstance(op, kind) for op in ops), name)
            for kind, name in ((Call, "call"), (If, "if"), (While, "loop"))
        ]
        lines = [
            f"captured  {self.function}: {', '.join(count for count in counts if count)}",
            f"          {self.location}",
        ]
        reason = self.executable.not_compiled
        return "\n".join([*lines, f"          not compiled: {reason}"] if reason else lines)


def _many(count: int, name: str) -> str:
    return f"{count} {name}{'s' if count != 1 else ''}" if count else ""


@dataclass
class Explanation:
    """What became of each function that a call reached, in the order in which it was tried; prints as a report.

    `misses` says why each program that a static function had so far was not for the call; empty if one was.
    """

    entries: list[Entry] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    @property
    def captured(self) -> list[Entry]:
        """The functions that run as programs."""
        return [entry for entry in self.entries if entry.captured]

    @property
    def eager(self) -> list[Entry]:
        """The functions that run in eager."""
        return [entry for entry in self.entries if not entry.captured]

    @property
    def is_full_graph(self) -> bool:
        """Whether all of the call is one program."""
        return not self.eager

    def __str__(self) -> str:
        head = f"{len(self.captured)} captured, {len(self.eager)} in eager"
        misses = [f"missed    program {number}: {words}" for number, words in enumerate(self.misses, start=1)]
        return "\n".join([head, *map(str, self.entries), *misses])


def explain(target: Any, *args: Any, **kwargs: Any) -> Explanation:
    """Call a function, on copies of its arguments and of its state, and report what was captured.

    Args:
        target: a function, method, module or what `to_static` gave for one; its programs stay as they are.
        args: the arguments of the call.
        kwargs: the same, by name.

    Raises:
        Exception: what the call itself raises.
    """
    options = getattr(getattr(target, "_static", target), "options", DEFAULT)
    static = getattr(target, "forward", target)
    misses = static.misses(*args, **kwargs) if hasattr(static, "misses") else []
    function, args, kwargs = copied(original(target), args, kwargs)
    found = Explanation(misses=misses)
    with noting(found), fresh_forms(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        to_static(function, input_spec=options.input_spec, backend=options.backend)(*args, **kwargs)
    return found


@contextmanager
def noting(found: Explanation) -> Iterator[None]:
    """Note every capture and every refusal meanwhile."""

    def note(event: Event) -> None:
        function = event.function
        if isinstance(event.outcome, ConversionError):
            error = event.outcome
            entry = Entry(function.__qualname__, error.location, None, error.code, error.reason, error.remedy)
        else:
            code = function.__code__
            entry = Entry(function.__qualname__, f"{code.co_filename}:{code.co_firstlineno}", event.outcome)
        if entry not in found.entries:
            found.entries.append(entry)

    listeners.append(note)
    try:
        yield
    finally:
        listeners.remove(note)

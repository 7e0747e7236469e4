"""Finds out whether a program is the same whether the graph of gradients is recorded around it or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.backend.execution import CaptureAgain, Executable
from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.canonical import canonical
from d2s.runtime.ir.program import walk_ops
from d2s.runtime.ir.sources import LOST, Member, attributes_of, read
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Guard, IsTensor, IsValue
from d2s.runtime.standalone.examples import example_arguments


def for_any_grad_mode(executable: Executable, owners: Mapping[str, Any]) -> Capture:
    """The capture of a program, as one for any grad mode if it can be captured again and is the same in both."""
    known = executable.capture
    again = executable.capture_again
    if again is None or known.program.modes.inference or "gradients" in known.asks_of:
        return known
    data = [name for name in executable.parameters if name not in owners]
    given = {**example_arguments(known.guards, data), **owners}
    arguments = [given[name] for name in executable.parameters]
    try:
        with _as_it_was(known.guards, dict(zip(executable.parameters, arguments, strict=True))):
            recorded = known if known.program.modes.grad else _captured(again, arguments, True)
            plain = _captured(again, arguments, False)
    except (CaptureError, *LOST):
        return known
    return replace(recorded, any_grad_mode=True) if _same(recorded, plain) else known


@contextmanager
def _as_it_was(guards: Iterable[Guard], arguments: Mapping[str, Any]) -> Iterator[None]:
    """While modules hold the numbers, flags and texts that they held when the program was captured."""
    before: list[tuple[dict[str, Any], str, Any]] = []
    try:
        for guard in guards:
            source = guard.source
            if isinstance(guard.check, IsValue) and isinstance(source, Member) and not source.table:
                own = attributes_of(read(source.base, arguments))
                if source.name in own:
                    before.append((own, source.name, own[source.name]))
                    own[source.name] = guard.check.value
        yield
    finally:
        for own, name, value in reversed(before):
            own[name] = value


def _captured(again: CaptureAgain, arguments: list[Any], grad: bool) -> Capture:
    with torch.set_grad_enabled(grad):
        return again(arguments)


def _same(recorded: Capture, plain: Capture) -> bool:
    """Whether the first, run where no graph is recorded, does what the second does, which was captured there."""
    return (
        canonical(recorded.program, with_grad_mode=False) == canonical(plain.program, with_grad_mode=False)
        and not any(op.modes.grad for op in walk_ops(plain.program.body))
        and list(map(_outline, recorded.guards)) == list(map(_outline, plain.guards))
    )


def _outline(guard: Guard) -> tuple[Any, Any]:
    """A guard, but for what asks for gradients."""
    check = guard.check
    if isinstance(check, IsTensor):
        check = replace(check, type=replace(check.type, requires_grad=False), leaf=True)
    return str(guard.source), check  # the text, for each conversion of a function has globals of its own

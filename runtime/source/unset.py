"""Finds variables that may stay without a value, as the user's did: a program has None for what is not set yet.

A value with a type of its own that is joined of None holds nothing on that path, and nothing reads it there; nor does
anything read the answer of a call that raised, or the message of one that did not. Its variable need not be assigned
to, if nothing but that variable ever gets what it holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import Call, Program, PythonType, Value, walk_ops
from d2s.runtime.recording.attempts import attempt

_ANYTHING = (PythonType(object), PythonType(type(None)))


def unset_variables(program: Program, names: dict[Value, str]) -> set[str]:
    """The variables that need not be set to None."""
    joins = [
        (value, source) for op in walk_ops(program.body) for value, sources in joined_values(op) for source in sources
    ]
    empty = [*(value for value, source in joins if source is None), *_of_attempts(program)]
    unset = {value for value in empty if value.type not in _ANYTHING}
    while more := {value for value, source in joins if isinstance(source, Value) and source in unset} - unset:
        unset |= more
    copied = {names.get(source) for value, source in joins if _is_copied(value, source, unset, names)}
    return {names[value] for value in unset if value in names} - copied


def _of_attempts(program: Program) -> Iterator[Value]:
    """What attempts give only if they fail, and what they give only if they do not."""
    for op in walk_ops(program.body):
        if isinstance(op, Call) and op.target is attempt:
            yield from (value for value in op.result[1:] if isinstance(value, Value))


def _is_copied(value: Value, source: Any, unset: set[Value], names: dict[Value, str]) -> bool:
    """Whether what may be unset goes from its variable to another."""
    return isinstance(source, Value) and source in unset and names.get(value) not in (None, names.get(source))

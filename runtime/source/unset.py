"""Finds variables that may stay without a value, as the user's did: a program has None for what is not set yet.

A value with a type of its own that is joined of None holds nothing on that path, and nothing reads it there. Its
variable need not be assigned to, if nothing but that variable ever gets what it holds.
"""

from __future__ import annotations

from typing import Any

from d2s.runtime.ir.program import Program, PythonType, Value, walk_ops
from d2s.runtime.source.hints import joined_values

_ANYTHING = (PythonType(object), PythonType(type(None)))


def unset_variables(program: Program, names: dict[Value, str]) -> set[str]:
    """The variables that need not be set to None."""
    joins = [
        (value, source) for op in walk_ops(program.body) for value, sources in joined_values(op) for source in sources
    ]
    unset = {value for value, source in joins if source is None and value.type not in _ANYTHING}
    while more := {value for value, source in joins if isinstance(source, Value) and source in unset} - unset:
        unset |= more
    copied = {names.get(source) for value, source in joins if _is_copied(value, source, unset, names)}
    return {names[value] for value in unset if value in names} - copied


def _is_copied(value: Value, source: Any, unset: set[Value], names: dict[Value, str]) -> bool:
    """Whether what may be unset goes from its variable to another."""
    return isinstance(source, Value) and source in unset and names.get(value) not in (None, names.get(source))

"""Compares programs."""

from typing import Any

from d2s.runtime.ir.canonical import canonical
from d2s.standalone import standalone


def equal_programs(first: Any, second: Any) -> bool:
    """Whether two captures, or modules of one program, are of an equal program."""
    return _form(first) == _form(second)


def _form(thing: Any) -> Any:
    return canonical(standalone(thing).programs[0].program)

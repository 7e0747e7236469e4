"""Whether an iterator is kept by the code that hands it to an operator: what it was not asked for must stay in it."""

from __future__ import annotations

import sys
from collections.abc import Iterator


def is_kept(iterator: object) -> bool:
    """Whether something holds an iterator, the parameter of the operator that asks here, by its name, aside."""
    return isinstance(iterator, Iterator) and sys.getrefcount(iterator) > _REFERENCES_TO_A_TEMPORARY


def _references(iterator: object) -> int:
    return sys.getrefcount(iterator)


def _operator(iterator: object, *rest: object) -> int:
    return _references(iterator)


# Measured, not written down: it depends on how this version of Python passes arguments.
_REFERENCES_TO_A_TEMPORARY = _operator(iter(()))

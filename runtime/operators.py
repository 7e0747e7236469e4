"""The conversion operators that rewritten code calls: a plain-Python branch and a staged branch each.

Rewritten code knows this module as `_d2s`. Outside a recording every operator does exactly what the
statement that it replaces does, so rewritten code runs as ordinary Python anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any


class Unset(Enum):
    """The value of a variable that will be set before it is read."""

    UNSET = "unset"


UNSET = Unset.UNSET


class until:
    """Iterate `iterable`, asking `stop` before each step: a `for` loop that may break.

    `stop` is asked before the iterator advances, so an iterator keeps the items that a `break` left in it.
    """

    def __init__(self, stop: Callable[[], Any], iterable: Iterable[Any]):
        self.stop = stop
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        iterator = iter(self.iterable)
        while not self.stop():
            try:
                item = next(iterator)
            except StopIteration:
                return
            yield item

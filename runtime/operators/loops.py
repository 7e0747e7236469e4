"""The operators for loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any


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

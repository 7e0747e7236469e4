"""`index` and `count` of lists and tuples, where what they compare is known only when the program runs."""

from __future__ import annotations

import operator
import sys
from functools import partial, reduce
from typing import Any

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.decisions import if_expression
from d2s.runtime.operators.shown import quoted
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.specs import is_same
from d2s.runtime.recording.staged import is_staged


def index(items: Any, value: Any, start: Any = 0, stop: Any = sys.maxsize) -> Any:
    """`items.index(value, start, stop)`."""
    if recorder_for(*items, value) is None or is_staged(start) or is_staged(stop):
        return type(items).index(items, value, start, stop)
    return _first(items, value, list(range(len(items))[start:stop]))


def _first(items: Any, value: Any, positions: list[int]) -> Any:
    """The first of the positions at which the value is."""
    if not positions:
        raise ValueError(
            "tuple.index(x): x not in tuple" if isinstance(items, tuple) else quoted(value) + " is not in list"
        )
    position, *others = positions
    return if_expression(_is_at(items, position, value), lambda: position, partial(_first, items, value, others))


def count(items: Any, value: Any) -> Any:
    """`items.count(value)`."""
    if recorder_for(*items, value) is None:
        return type(items).count(items, value)
    found = (if_expression(_is_at(items, position, value), lambda: 1, lambda: 0) for position in range(len(items)))
    return reduce(operator.add, found, 0)


def _is_at(items: Any, position: int, value: Any) -> Any:
    """Whether this very thing, or one that is equal, is at a position."""
    recorder = recorder_for(items[position], value)
    if items[position] is value or (recorder is not None and is_same(recorder, items[position], value)):
        return True
    return items[position] == value


REPLACEMENTS.update({list.index: index, tuple.index: index, list.count: count, tuple.count: count})

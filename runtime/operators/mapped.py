"""The operators for `map` and `filter`: they are generator expressions that call a function."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.calls import call
from d2s.runtime.operators.decisions import same
from d2s.runtime.operators.generators import Generated
from d2s.runtime.operators.sequences import zip_
from d2s.runtime.operators.temporaries import is_kept
from d2s.runtime.recording.recorder import active_recorder


class Mapped(Generated):
    """What `map` gives."""

    __class__ = property(lambda self: map)

    def __init__(self, function: Callable[..., Any], iterables: tuple[Any, ...]):
        if len(iterables) == 1:
            super().__init__(iterables[0], lambda item: call(function)(item), None, False, is_kept(iterables[0]))
        else:
            super().__init__(zip_(*iterables), lambda items: call(function)(*items), None, False, False)
        self._given = function, *iterables

    def _made(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return map, self._given


class Filtered(Generated):
    """What `filter` gives."""

    __class__ = property(lambda self: filter)

    def __init__(self, function: Callable[[Any], Any] | None, items: Any):
        keep = same if function is None else lambda item: call(function)(item)
        super().__init__(items, same, keep, False, is_kept(items))
        self._given = function, items

    def _made(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return filter, self._given


def map_(*args: Any) -> Any:
    """`map(function, *iterables)`."""
    if active_recorder() is None or len(args) < 2:
        return map(*args)
    return Mapped(args[0], args[1:])


def filter_(*args: Any) -> Any:
    """`filter(function, items)`."""
    if active_recorder() is None or len(args) != 2:
        return filter(*args)
    return Filtered(*args)


REPLACEMENTS.update({builtins.map: map_, builtins.filter: filter_})

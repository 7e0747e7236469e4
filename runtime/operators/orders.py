"""The operators that put the items of a list in an order that only the run knows."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from typing import Any

from d2s.runtime.ir.program import PURE, Effects, PythonType
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.calls import call
from d2s.runtime.operators.folds import list_
from d2s.runtime.operators.items import get_item
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.operators.texts import members
from d2s.runtime.operators.writes import note_contents
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged


def sorted_positions(keys: list[Any], reverse: bool) -> tuple[int, ...]:
    """The positions of items in the order of their keys."""
    return tuple(sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse))


def positions(
    recorder: Recorder, count: int, target: Callable[..., Any], args: tuple[Any, ...], effects: Effects = PURE
) -> tuple[Any, ...]:
    """So many positions, which a call gives."""
    values = tuple(recorder.fresh(PythonType(int)) for _ in range(count))
    recorder.emit_call(target, args, {}, values, effects)
    return tuple(recorder.stand_in(value) for value in values)


def rearrange(items: Any, order: Iterable[Any]) -> None:
    """Put the items of a list in the order of these positions."""
    before = list_(items)
    after = [get_item(before, position) for position in order]
    note_contents(items)
    items[:] = after


def sort(items: Any, *, key: Any = None, reverse: Any = False) -> None:
    """`items.sort(key=key, reverse=reverse)`."""
    recorder = active_recorder()
    if recorder is None or is_staged(items):
        items.sort(key=key, reverse=reverse)
        return
    keys = list(items) if key is None else list(map(call(key), items))
    if len(keys) < 2 or recorder_for(*members(keys)) is None:
        note_contents(items)
        items[:] = [items[position] for position in sorted_positions(keys, reverse)]
        return
    rearrange(items, positions(recorder, len(keys), sorted_positions, (keys, reverse)))


def sorted_(items: Iterable[Any], *, key: Any = None, reverse: Any = False) -> list[Any]:
    """`sorted(items, key=key, reverse=reverse)`."""
    if active_recorder() is None:
        return sorted(items, key=key, reverse=reverse)
    result = list_(items)
    sort(result, key=key, reverse=reverse)
    return result


REPLACEMENTS.update({builtins.sorted: sorted_, list.sort: sort})

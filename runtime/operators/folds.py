"""The operators for Python's functions of many items: `sum`, `any`, `list` and the like."""

from __future__ import annotations

import builtins
import types
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from d2s.runtime.operators.builtins import REPLACEMENTS, display
from d2s.runtime.operators.comprehensions import collected
from d2s.runtime.operators.decisions import and_test, not_, or_test, same, truth
from d2s.runtime.operators.generators import is_fresh
from d2s.runtime.operators.loops import each
from d2s.runtime.operators.sequences import StagedSequence, as_sequence, must_be_one_loop
from d2s.runtime.operators.temporaries import is_kept
from d2s.runtime.recording.arrays import is_run_time_array
from d2s.runtime.recording.lists import is_run_time_list, is_run_time_sequence
from d2s.runtime.recording.places import CellLocation
from d2s.runtime.recording.recorder import active_recorder


def _is_repeatable(items: Any) -> bool:
    """Whether items can be gone over again, as branches do: an iterator has given its items once and for all."""
    is_sequence = isinstance(items, list | tuple | range | torch.Tensor | StagedSequence)
    return is_sequence or is_run_time_array(items) or is_fresh(items)


def long(items: Any) -> StagedSequence | None:
    """The sequence of `items` if it is to be one loop of the program, else None."""
    sequence = as_sequence(items) if active_recorder() is not None else None
    return sequence if sequence is not None and must_be_one_loop(sequence) else None


def folded(items: Any, start: Any, step: Callable[[Any, Any], Any], until: bool | None = None) -> Any:
    """`step(... step(step(start, first), second) ..., last)`, until a result is `until`."""
    state = types.CellType(start)

    def trip(item: Any) -> None:
        state.cell_contents = step(state.cell_contents, item)

    def stop() -> Any:
        return truth(state.cell_contents) if until else not_(state.cell_contents)

    each(items, trip, None if until is None else stop, [CellLocation(state)])
    return state.cell_contents


def sum_(items: Any, start: Any = 0) -> Any:
    """`sum(items, start)`."""
    if active_recorder() is None:
        return sum(items, start)
    return folded(items if _is_repeatable(items) else list(items), start, lambda total, item: total + item)


def _quantifier(function: Callable[..., Any], chain: Callable[..., Any], decided: bool) -> Callable[..., Any]:
    """`any` or `all`: the first item whose truth is `decided` decides. `chain` asks some that are all at hand."""

    def quantifier(items: Any) -> Any:
        if active_recorder() is None or is_kept(items) or not _is_repeatable(items):
            return function(items)
        if type(items) in (list, tuple):
            return chain(not decided, *(partial(same, item) for item in items))
        return folded(items, not decided, lambda _, item: truth(item), decided)

    return quantifier


any_ = _quantifier(any, or_test, True)
all_ = _quantifier(all, and_test, False)


def list_(*args: Any) -> list[Any]:
    """`list(...)`."""
    if len(args) != 1 or active_recorder() is None:
        return list(*args)
    if is_run_time_list(args[0]):
        return args[0].copy()
    if long(args[0]) is None and not is_fresh(args[0]):
        return display(list(args[0]))
    return collected(args[0], display([]))


def tuple_(*args: Any) -> tuple[Any, ...]:
    """`tuple(...)`."""
    recorder = active_recorder()
    if len(args) != 1 or recorder is None:
        return tuple(*args)
    items = args[0]
    if long(items) is not None or is_fresh(items):
        items = list_(items)
    if not is_run_time_sequence(items):
        return tuple(items)
    return recorder.lists.derived_tuple(items.item_spec(), tuple, (items,))


REPLACEMENTS.update(
    {
        builtins.sum: sum_,
        builtins.any: any_,
        builtins.all: all_,
        builtins.list: list_,
        builtins.tuple: tuple_,
    }
)

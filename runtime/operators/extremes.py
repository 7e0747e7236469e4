"""The operators for `min` and `max`: a comparison chooses a value instead of a side."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from functools import partial
from typing import Any

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.calls import call
from d2s.runtime.operators.decisions import if_expression, same
from d2s.runtime.operators.folds import folded, list_, long
from d2s.runtime.operators.generators import is_fresh
from d2s.runtime.operators.sequences import StagedSequence
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.recorder import active_recorder


def _extreme(function: Callable[..., Any], is_better: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """`min` or `max`, whose comparisons choose a value instead of a side."""

    def better(best: Any, item: Any) -> Any:
        return if_expression(is_better(item, best), partial(same, item), partial(same, best))

    def better_pair(best: Any, pair: Any) -> Any:
        return if_expression(is_better(pair[1], best[1]), partial(same, pair), partial(same, best))

    def of_sequence(sequence: StagedSequence, key: Callable[[Any], Any] | None) -> Any:
        first = sequence.item(0)
        rest = StagedSequence(sequence.length - 1, lambda position: sequence.item(position + 1))
        if key is None:
            return folded(rest, first, better)
        return folded(rest, (first, key(first)), lambda best, item: better_pair(best, (item, key(item))))[0]

    def of_items(items: list[Any], key: Callable[[Any], Any] | None) -> Any:
        keys = items if key is None else list(map(key, items))
        if recorder_for(*keys) is None:
            return items[function(range(len(items)), key=keys.__getitem__)]
        if key is None:
            return functools.reduce(better, items)
        return functools.reduce(better_pair, zip(items, keys, strict=True))[0]

    def extreme(*args: Any, key: Any = None, **kwargs: Any) -> Any:
        if active_recorder() is None or not args:
            return function(*args, key=key, **kwargs)
        items = args[0] if len(args) == 1 else args
        if is_fresh(items):
            items = list_(items)
        if key is not None:
            key = call(key)
        sequence = long(items)
        if sequence is not None:
            return of_sequence(sequence, key) if sequence.length > 0 else function((), **kwargs)
        items = list(items)
        return of_items(items, key) if items else function(items, **kwargs)

    return extreme


min_ = _extreme(min, lambda item, best: item < best)
max_ = _extreme(max, lambda item, best: item > best)

REPLACEMENTS.update({builtins.min: min_, builtins.max: max_})

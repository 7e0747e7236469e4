"""The operators that make dicts and sets."""

from __future__ import annotations

import builtins
import collections
from collections.abc import Callable
from typing import Any

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.decisions import contains, if_expression
from d2s.runtime.operators.folds import list_
from d2s.runtime.operators.items import get_item, need_table_for
from d2s.runtime.operators.writes import READERS, note_contents
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.tables import KINDS, is_run_time_key, is_run_time_table


def _constructor(kind: Any) -> Callable[..., Any]:
    """The form of a class of dicts or sets."""
    has_factory = kind is collections.defaultdict
    has_pairs = issubclass(kind, dict) and kind is not collections.Counter

    def make(*args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return kind(*args, **kwargs)
        factory, given = (*args, None, None)[:2] if has_factory else (None, (*args, None)[0])
        if given is None or kwargs:
            return recorder.tables.made(kind(*args, **kwargs))
        if isinstance(given, zip):
            given = list(map(_hashed, given))  # a bad key is found before what the next pair raises
        elif not isinstance(given, dict | set | frozenset):
            given = list_(given)
        if is_run_time_table(given) or is_run_time_sequence(given) or any(map(is_run_time_key, _keys(given))):
            return recorder.tables.of(kind, given, factory=factory)
        return recorder.tables.made(kind(*args[:has_factory], given))

    def _hashed(item: Any) -> Any:
        for key in _keys([item]):
            if not is_run_time_key(key):
                hash(key)
        return item

    def _keys(given: Any) -> Any:
        return (pair[0] for pair in given) if has_pairs and isinstance(given, list) else given

    return make


REPLACEMENTS.update({kind: _constructor(kind) for kind in KINDS})
dict_, set_ = REPLACEMENTS[builtins.dict], REPLACEMENTS[builtins.set]


def of_table(function: Any) -> Any:
    """The form of a method, written in C, of a dict or set of Python's own."""
    owner = function.__self__

    def called(*args: Any, **kwargs: Any) -> Any:
        if function.__name__ == "get" and args and is_run_time_key(args[0]):
            key, default = (*args, None)[:2]
            return if_expression(contains(owner, key), lambda: get_item(owner, key), lambda: default)
        need_table_for(owner, args)
        if function.__name__ not in READERS:
            note_contents(owner)
        return function(*args, **kwargs)

    return called

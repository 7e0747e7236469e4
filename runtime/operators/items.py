"""The operators for items of lists, tuples and dicts at positions and keys that only the run knows."""

from __future__ import annotations

import operator
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from d2s.runtime.ir.program import PURE
from d2s.runtime.operators.decisions import if_expression, or_test, same
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.arrays import is_run_time_array
from d2s.runtime.recording.lists import is_run_time_sequence, list_position
from d2s.runtime.recording.numbers import number_kind
from d2s.runtime.recording.places import ContentsLocation
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.specs import CannotJoinError
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.tables import KINDS, is_run_time_key, is_run_time_table
from d2s.runtime.recording.texts import is_run_time_text

# A list with more items is one of the run if one is written whose position only the run knows.
MOST_CHOSEN = 16
_SEQUENCES = (list, tuple, torch.nn.ModuleList, torch.nn.Sequential, torch.nn.ParameterList)


def need_table(owner: Any, *keys: Any) -> None:
    """Something is done to a container with these keys: a dict or set must be of the run if one of them is."""
    _need_table(owner, is_run_time_key, keys)


def need_table_for(owner: Any, args: tuple[Any, ...]) -> None:
    """A method of a container gets these: a dict or set must be of the run if one brings keys of the run."""
    _need_table(owner, _brings_keys, args)


def _need_table(owner: Any, is_reason: Callable[[Any], bool], given: tuple[Any, ...]) -> None:
    recorder = active_recorder()
    if recorder is not None and type(owner) in KINDS and any(map(is_reason, given)):
        recorder.lists.find_table(owner)


def _brings_keys(arg: Any) -> bool:
    if is_run_time_table(arg) or is_run_time_sequence(arg) or is_run_time_key(arg):
        return True
    return isinstance(arg, list | tuple) and any(map(_brings_keys, arg))


def get_item(owner: Any, key: Any) -> Any:
    """`owner[key]`."""
    recorder, running = recorder_for(key), active_recorder()
    if running is not None:
        running.reads.note_item(owner, key)
    if recorder is None or is_staged(owner):
        return _made_if_missing(owner, key) if issubclass(type(owner), defaultdict) else owner[key]
    if isinstance(owner, _SEQUENCES) and (key_number := _as_index(recorder, key)) is not None:
        return _at_position(recorder, owner, key_number)
    if type(owner) in (str, range) and (key_number := _as_index(recorder, key)) is not None:
        return recorder.plain_call(operator.getitem, (owner, key_number), str if isinstance(owner, str) else int)
    if type(owner) is dict and (kind := _kind_of_key(key)) is not None:
        return _at_key(owner, key, kind)
    need_table(owner, key)
    return owner[key]


def _made_if_missing(owner: defaultdict[Any, Any], key: Any) -> Any:
    """The item of a `defaultdict`, which a look-up may put there."""
    recorder = active_recorder()
    is_usual = type(owner).__missing__ is defaultdict.__missing__
    if recorder is None or not is_usual or key in owner or owner.default_factory is None:
        return owner[key]
    made = recorder.form_of(owner.default_factory)()
    recorder.journal.note(ContentsLocation(owner))
    dict.__setitem__(owner, key, made)
    return made


def get_slice(owner: Any, start: Any, stop: Any, step: Any) -> Any:
    """`owner[start:stop:step]`."""
    recorder = recorder_for(start, stop, step)
    if recorder is None or type(owner) not in (list, tuple, str):
        return owner[start:stop:step]
    bounds = slice(*(as_bound(recorder, bound) for bound in (start, stop, step)))
    if isinstance(owner, str):
        return recorder.text_call(operator.getitem, (owner, bounds))
    try:
        return recorder.lists.of_items(operator.getitem, owner, bounds)
    except CannotJoinError:
        return owner[bounds]  # which says what is missing


def _as_index(recorder: Recorder, key: Any) -> Any:
    """A key as Python takes it for a position, None if it does not."""
    is_tensor = isinstance(key, torch.Tensor) and key.dim() == 0 and not key.is_floating_point()
    if is_tensor or (is_run_time_array(key) and key.type.dtype.kind in "iu" and not key.relied_on().shape):
        return recorder.number_call(operator.index, (key,), int)
    return key if number_kind(key) in (int, bool) else None


def as_bound(recorder: Recorder, bound: Any) -> Any:
    """A bound of a range or a slice as Python takes it; one that it doesn't take stays as it is."""
    number = _as_index(recorder, bound) if is_staged(bound) else None
    return bound if number is None else number


def _at_position(recorder: Recorder, owner: Any, position: Any) -> Any:
    """An item: one call where all have something in common, else a branch for each."""
    if type(owner) in (list, tuple) and owner and not any(map(is_run_time_sequence, owner)):
        try:
            common = recorder.lists.common_of(owner)
        except CannotJoinError:
            common = None
        if common is not None:
            return recorder.lists.item_of(common, operator.getitem, (owner, position), PURE)
    count = len(owner)

    def choose(number: int) -> Any:
        if number == count:
            return owner[count]  # raises what it raises
        is_it = or_test(position == number, lambda: position == number - count)
        return if_expression(is_it, lambda: owner[number], lambda: choose(number + 1))

    return choose(0)


def need_list(owner: Any, position: Any) -> None:
    """The length of a list changes at this position, or its items do: it must be of the run if only that knows it."""
    recorder = recorder_for(position)
    if recorder is not None and type(owner) is list:
        recorder.lists.make_run_time(owner, owner)


def set_at_position(recorder: Recorder, owner: list[Any], key: Any, value: Any) -> bool:
    """`owner[key] = value` for a list of Python's own, at a position that only the run knows; whether it is one."""
    key_number = _as_index(recorder, key)
    if key_number is None:
        return False
    if len(owner) > MOST_CHOSEN:
        need_list(owner, key)
    position = recorder.number_call(list_position, (len(owner), key_number), int)
    for number, item in enumerate(owner):
        owner[number] = if_expression(position == number, partial(same, value), partial(same, item))
    return True


def _kind_of_key(key: Any) -> Any:
    """The types of the keys that a key of the run may equal, None if that is unknown."""
    if is_run_time_text(key):
        return str
    return (int, float, bool) if number_kind(key) is not None else None


def _at_key(owner: Mapping[Any, Any], key: Any, kind: Any) -> Any:
    """A branch for each key that it may be."""

    def choose(keys: list[Any]) -> Any:
        if not keys:
            raise KeyError(key)
        first, *rest = keys
        value: Callable[[], Any] = lambda: owner[first]  # noqa: E731
        return if_expression(key == first, value, lambda: choose(rest))

    return choose([known for known in owner if isinstance(known, kind)])

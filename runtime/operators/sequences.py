"""Sequences that a loop of the program can go over: rows of a tensor, ranges, and what is made of them."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.operators.builtins import REPLACEMENTS, len_
from d2s.runtime.operators.decisions import if_expression
from d2s.runtime.operators.generators import Enumerated, is_fresh
from d2s.runtime.operators.items import as_bound
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.operators.temporaries import is_kept
from d2s.runtime.recording.arrays import is_run_time_array
from d2s.runtime.recording.lists import RunTimeSequence, is_run_time_sequence
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.tables import is_run_time_table

# A loop whose number of trips is known is unrolled up to this many, and one loop of the program beyond.
MOST_UNROLLED = 16


@dataclass(frozen=True, repr=False)
class StagedSequence:
    """A sequence by its length, which may be known only when the program runs, and its items by position."""

    length: Any
    item: Callable[[Any], Any]
    progression: tuple[Any, ...] | None = None  # what it is the `range` of

    def output(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What the program calls, and with what, to hand it on."""
        if self.progression is None:
            raise CaptureError("D2S307", "a sequence of tensors is handed on by zip() or the like", "hand on a list")
        return range, self.progression

    def __repr__(self) -> str:
        raise CaptureError("D2S102", "the text of a range that only the run knows is asked for", "show its bounds")

    def __iter__(self) -> Iterator[Any]:
        position = 0
        while position < self.length:
            yield self.item(position)
            position += 1

    def __len__(self) -> int:
        return int(self.length)

    def __getitem__(self, position: Any) -> Any:
        return self.item(position)


class StagedList(StagedSequence):
    """The items of a list of the program, whose length is asked for again before each trip."""

    def __init__(self, items: RunTimeSequence):
        object.__setattr__(self, "item", items.__getitem__)
        object.__setattr__(self, "length_now", items.length)

    length = property(lambda self: self.length_now())


def as_sequence(items: Any) -> StagedSequence | None:
    """The sequence that a loop over `items` goes over, None where items must come one by one."""
    if isinstance(items, StagedSequence):
        return items
    if is_run_time_sequence(items):
        return StagedList(items)
    if is_run_time_table(items):
        return StagedList(items.keys())
    if isinstance(items, torch.Tensor) and items.dim() > 0:
        return StagedSequence(items.shape[0], lambda position: items[position])
    if is_run_time_array(items) and items.sizes():
        return StagedSequence(items.sizes()[0], lambda position: items[position])
    if isinstance(items, range):
        return _progression(len(items), items.start, items.step)
    return None


def _progression(length: Any, start: Any, step: Any) -> StagedSequence:
    if not is_staged(start) and not is_staged(step) and (start, step) == (0, 1):
        return StagedSequence(length, lambda position: position)
    return StagedSequence(length, lambda position: start + position * step)


def range_length(start: int, stop: int, step: int) -> int:
    """`len(range(start, stop, step))`."""
    return len(range(start, stop, step))


def length_of(items: Any) -> Any:
    """`len(items)`."""
    if isinstance(items, StagedSequence) and items.progression is not None:
        return items.length
    return len_(items)


def range_(*bounds: Any) -> Any:
    """`range(...)`."""
    recorder = recorder_for(*bounds)
    if recorder is None:
        return range(*bounds)
    start, stop, step = (0, *bounds, 1) if len(bounds) == 1 else (*bounds, 1)[:3]
    start, stop, step = (as_bound(recorder, bound) for bound in (start, stop, step))
    length = recorder.number_call(range_length, (start, stop, step), int)
    return replace(_progression(length, start, step), progression=(start, stop, step))


def enumerate_(items: Any, start: Any = 0) -> Any:
    """`enumerate(items, start)`."""
    lasting = is_kept(items)
    if active_recorder() is not None and (lasting or is_fresh(items)):
        return Enumerated(items, start, lasting)
    sequence = as_sequence(items)
    if sequence is None or not must_be_one_loop(sequence, start):
        return enumerate(items, start)
    return StagedSequence(sequence.length, lambda position: (position + start, sequence.item(position)))


def zip_(*iterables: Any, **kwargs: Any) -> Any:
    """`zip(...)`."""
    sequences = [as_sequence(items) for items in iterables]
    found = [sequence for sequence in sequences if sequence is not None]
    if kwargs or not found or len(found) < len(iterables) or not any(map(must_be_one_loop, found)):
        return zip(*iterables, **kwargs)  # noqa: B905
    length = functools.reduce(_shorter, (sequence.length for sequence in found))
    return StagedSequence(length, lambda position: tuple(sequence.item(position) for sequence in found))


def _shorter(left: Any, right: Any) -> Any:
    return if_expression(right < left, lambda: right, lambda: left)


def reversed_(items: Any) -> Any:
    """`reversed(items)`."""
    sequence = (
        as_sequence(items) if isinstance(items, range | StagedSequence) or is_run_time_sequence(items) else None
    )
    if sequence is None or not must_be_one_loop(sequence):
        return reversed(items)
    return StagedSequence(sequence.length, lambda position: sequence.item(sequence.length - 1 - position))


def must_be_one_loop(sequence: StagedSequence, *others: Any) -> bool:
    """Whether a loop over a sequence can't be unrolled, or is too long to be; `others` go into its items."""
    return is_staged(sequence.length) or any(map(is_staged, others)) or sequence.length > MOST_UNROLLED


REPLACEMENTS.update(
    {
        builtins.len: length_of,
        builtins.range: range_,
        builtins.enumerate: enumerate_,
        builtins.zip: zip_,
        builtins.reversed: reversed_,
    }
)

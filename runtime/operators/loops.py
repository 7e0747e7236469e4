"""The operators for loops."""

from __future__ import annotations

import types
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from d2s.runtime.errors import CaptureError
from d2s.runtime.operators.decisions import and_test, if_expression, not_, truth
from d2s.runtime.operators.generators import Enumerated, Generated, Given, Yielded, is_fresh
from d2s.runtime.operators.leaving import record_left_loop
from d2s.runtime.operators.sequences import (
    MOST_UNROLLED,
    StagedSequence,
    as_sequence,
    must_be_one_loop,
)
from d2s.runtime.operators.staging import Thunk, shared_locations
from d2s.runtime.operators.temporaries import is_kept
from d2s.runtime.recording.branches import record_branch
from d2s.runtime.recording.closures import note_stores
from d2s.runtime.recording.lifting import is_of_python
from d2s.runtime.recording.loops import NotStableError, aside, loop_key, record_loop
from d2s.runtime.recording.places import CellLocation, Location
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged

MOST_PEELED = 3
# Python's own iterators that run code of the user's for an item.
_RUNNING = (types.GeneratorType, type(iter(int, 1)))


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


def while_(loop_test: Thunk, loop_body: Thunk, carried: tuple[str, ...]) -> None:
    """`while loop_test(): loop_body()`; the two bind the variables that `carried` names."""
    recorder = active_recorder()
    if recorder is not None:
        shared = shared_locations([loop_test, loop_body], carried)
        _record_while(recorder, loop_test, loop_body, shared)
        return
    while loop_test():
        loop_body()


def for_(items: Iterable[Any], loop_body: Callable[[Any], None], carried: tuple[str, ...]) -> None:
    """`for item in items: loop_body(item)`; the body binds the variables that `carried` names."""
    if active_recorder() is None:
        for item in items:
            loop_body(item)
        return
    stop: Thunk | None = None
    if isinstance(items, until):
        stop, items = items.stop, items.iterable
    lasting = is_kept(items)
    each(items, loop_body, stop, shared_locations([loop_body], carried), lasting)


def each(
    items: Iterable[Any],
    loop_body: Callable[[Any], object],
    stop: Thunk | None,
    shared: list[Location],
    lasting: bool = False,
) -> None:
    """`loop_body` of every item while a recording goes on; it binds the variables that are `shared`.

    `lasting` is whether the items are in an iterator that the function keeps.
    """
    recorder = active_recorder()
    assert recorder is not None
    recorder.reads.note_contents(items)
    sequence = as_sequence(items)
    if sequence is None:
        items = iter(items)
        from_kept = issubclass(type(items), Given) and cast(Given, items).lasting
        lasting = lasting or (stop is not None and from_kept)
    if is_fresh(items) and not (lasting and stop):
        _hand_on(recorder, items, loop_body, stop, shared)
    elif sequence is not None and must_be_one_loop(sequence):
        _record_for(recorder, sequence, loop_body, stop, shared)
    else:
        _unroll(recorder, iter(items), loop_body, stop, shared, lasting)


def _hand_on(
    recorder: Recorder, items: Any, body: Callable[[Any], object], stop: Thunk | None, shared: list[Location]
) -> None:
    """`body` of every item of a generator of which none was taken."""
    items.use_up()
    if type(items) is Yielded:
        note_stores(recorder, items.pushed)
        items.pushed(_Emit(body, stop, shared))
    elif type(items) is Enumerated:
        counter = types.CellType(items.start)
        each(items.items, _counting(counter, body), stop, [*shared, CellLocation(counter)])
    else:
        each(items.items, _of_generated(recorder, items, body, stop, shared), stop, shared)


def _counting(counter: types.CellType, body: Callable[[Any], object]) -> Callable[[Any], object]:
    def trip(item: Any) -> None:
        position = counter.cell_contents
        counter.cell_contents = position + 1
        body((position, item))

    return trip


@dataclass(frozen=True)
class _Emit:
    """What a generator function hands its items on to."""

    body: Callable[[Any], object]
    stop: Thunk | None
    shared: list[Location]

    def is_done(self) -> Any:
        """Whether no more items are wanted."""
        return False if self.stop is None else self.stop()


def emitted(emit: _Emit, item: Any) -> Any:
    """`yield item`, and whether no more items are wanted."""
    recorder = active_recorder()
    assert recorder is not None
    recorder.journal.note_all(emit.shared)
    emit.body(item)
    return emit.is_done()


def emitted_all(emit: _Emit, items: Iterable[Any]) -> Any:
    """`yield from items`, and whether no more items are wanted."""
    each(items, partial(emitted, emit), emit.stop, emit.shared)
    return emit.is_done()


def _of_generated(
    recorder: Recorder,
    items: Generated,
    body: Callable[[Any], object],
    stop: Thunk | None,
    shared: list[Location],
) -> Callable[[Any], object]:
    """What to do for each item of what a generator expression goes over, to do `body` for what it gives."""

    def give(item: Any) -> None:
        given = items.element(item)
        if items.nested:
            each(given, body, stop, shared)
        else:
            body(given)

    def give_if_kept(item: Any) -> None:
        condition = items.keep(item)
        if is_staged(condition):
            record_branch(recorder, condition, lambda: give(item), lambda: None, shared)
        elif condition:
            give(item)

    return give if items.keep is None else give_if_kept


# ------------------------------------------------------------------ while


def _record_while(recorder: Recorder, test: Thunk, body: Thunk, shared: list[Location], unroll: bool = True) -> None:
    """Unroll while the test is known; from where it is not, one loop, after as many single trips as that needs."""
    peeled = trips = 0
    while True:
        assert recorder.region is not None
        key = loop_key(recorder)
        if key in recorder.region.forked:
            test, body, shared = _with_test_in_body(test, body, shared)
            known: Any = None
        else:
            known = _known_truth(recorder, key, test, shared)
        if known is False:
            return
        if known is None or not unroll or trips >= MOST_UNROLLED:
            try:
                record = record_left_loop if recorder.handlers else record_loop
                record(recorder, key, _truth_of(test), body, shared)
                return
            except NotStableError as error:
                peeled += 1
                if peeled > MOST_PEELED:
                    raise CaptureError(
                        "D2S201",
                        f"a loop changes a variable from one kind of thing to another in every trip: {error}",
                        "give it the same type before the loop and in every trip",
                    ) from None
        if known is None and not recorder.decide(test()):
            return
        body()
        trips += 1


def _truth_of(test: Thunk) -> Thunk:
    return lambda: truth(test())


def _known_truth(recorder: Recorder, key: Hashable, test: Thunk, shared: list[Location]) -> bool | None:
    """The truth of a loop's test if it is known, else None and nothing is recorded."""
    mark, start = recorder.journal.mark(), recorder.next_number
    recorder.journal.note_all(shared)
    with aside(recorder, key) as block:
        result = truth(test())
    if is_staged(result):
        recorder.journal.undo(mark)
        recorder.rewind(start)
        return None
    recorder.block.ops += block.ops
    return bool(result)


def _with_test_in_body(test: Thunk, body: Thunk, shared: list[Location]) -> tuple[Thunk, Thunk, list[Location]]:
    """The same loop for a test that decides something itself: it is asked in the body, which may fork."""
    go_on = types.CellType(True)

    def both() -> None:
        go_on.cell_contents = if_expression(test(), lambda: _ran(body), lambda: False)

    return lambda: go_on.cell_contents, both, [*shared, CellLocation(go_on)]


def _ran(body: Thunk) -> bool:
    body()
    return True


# ------------------------------------------------------------------ for


def _record_for(
    recorder: Recorder,
    sequence: StagedSequence,
    body: Callable[[Any], object],
    stop: Thunk | None,
    shared: list[Location],
) -> None:
    """One loop of the program, over the positions of a sequence."""
    position = types.CellType(0)

    def test() -> Any:
        more = position.cell_contents < sequence.length
        return truth(more) if stop is None else and_test(more, lambda: not_(stop()))

    def trip() -> None:
        body(sequence.item(position.cell_contents))
        position.cell_contents = position.cell_contents + 1

    _record_while(recorder, test, trip, [*shared, CellLocation(position)], unroll=False)


def _unroll(
    recorder: Recorder,
    iterator: Iterator[Any],
    body: Callable[[Any], object],
    stop: Thunk | None,
    shared: list[Location],
    lasting: bool,
) -> None:
    """Every trip on its own; after a break that only the run knows, the trips that follow are branches."""
    while True:
        stopped = False if stop is None else stop()
        if lasting:
            recorder.once("takes items from an iterator")
        if is_staged(stopped) and (lasting or _runs_code(iterator)):
            # What a break leaves in an iterator that the function keeps must stay in it, and code must not run.
            stopped = recorder.decide(stopped)
        if not is_staged(stopped) and stopped:
            return
        try:
            item = next(iterator)
        except StopIteration:
            return
        if is_staged(stopped):
            _trip_unless(recorder, stopped, item, body, shared)
        else:
            body(item)


def _runs_code(iterator: Iterator[Any]) -> bool:
    """Whether code of the user's may give the items, such as a generator that suspends inside a `try`."""
    cls = type(iterator)
    if cls is Enumerated:
        return _runs_code(cast(Enumerated, iterator).items)  # type: ignore[arg-type]
    if cls in (zip, enumerate):
        return any(map(_runs_code, iterator.__reduce__()[1]))
    return cls in _RUNNING or cls.__module__ == "itertools" or is_of_python(cls)


def _trip_unless(
    recorder: Recorder, stopped: Any, item: Any, body: Callable[[Any], object], shared: list[Location]
) -> None:
    record_branch(recorder, stopped, lambda: None, lambda: body(item), shared)

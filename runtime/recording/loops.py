"""Records a loop: what its trips change is carried from trip to trip, found by a fixed point.

The test and the body are recorded from the state before the loop. What the body changed is then made a value of
its type (a Python int a run-time int, a dimension that changed an unknown one), and they are recorded again, until
nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from d2s.runtime.ir.program import Block, Condition, Continue, Terminator, Tree, Value, While
from d2s.runtime.recording.branches import held_since
from d2s.runtime.recording.exceptions import refuse_own
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.merged import NOTHING, Held
from d2s.runtime.recording.outputs import end
from d2s.runtime.recording.places import Location
from d2s.runtime.recording.regions import record_region
from d2s.runtime.recording.specs import (
    CannotJoinError,
    Joiner,
    Spec,
    is_equal,
    part_tree,
    parts,
    spec_at,
    stand_in,
)

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

MOST_ROUNDS = 20


class NotStableError(Exception):
    """The state before the loop and that after a trip can't be one; never leaves the runtime."""


def record_loop(
    recorder: Recorder,
    key: Hashable,
    test: Callable[[], Any],
    body: Callable[[], Any],
    shared: Iterable[Location] = (),
) -> None:
    """`while test(): body()`, as one loop of the program.

    `test` gives a truth value, `shared` are the variables that the two bind, `key` is the loop's `loop_key`.

    Raises:
        NotStableError: a trip changes what it starts from to something that can't be the same value.
    """
    mark = recorder.journal.mark()
    try:
        _LoopRecording(recorder, key, test, body, list(shared)).record()
    except NotStableError:
        recorder.journal.undo(mark)
        raise


class _LoopRecording:
    def __init__(
        self,
        recorder: Recorder,
        key: Hashable,
        test: Callable[[], Any],
        body: Callable[[], Any],
        shared: list[Location],
    ):
        self.recorder = recorder
        self.key = key
        self.test = test
        self.body = body
        self.shared = shared
        self.place = user_location()
        self.held: Held = NOTHING  # what the things hold that the trips of a round have changed, until that is undone
        self.lasting = set(shared)
        self.suspects: set[Location] = set()
        self.before: dict[Location, Any] = {}
        self.carried: dict[Location, Spec] = {}

    def record(self) -> None:
        """Find the fixed point and emit the loop."""
        recorder = self.recorder
        mark, start = recorder.journal.mark(), recorder.next_number
        for _ in range(MOST_ROUNDS):
            recorder.rewind(start)
            self.found: dict[Location, Spec] = {}
            self.held = NOTHING
            params, test, go_on = self._start_trip()
            exits = self._values()
            test.terminator = Condition(go_on, exits)
            body = record_region(recorder, self._trip)
            recorder.journal.undo(mark)
            if not self._widen():
                self._emit(params, test, body)
                return
        raise NotStableError("its state does not settle")

    # -------------------------------------------------------------- one round

    def _start_trip(self) -> tuple[list[Value], Block, Tree]:
        """Put stand-ins where something is carried, and record the test."""
        recorder = self.recorder
        recorder.facts.forget_tensors()
        params: list[Value] = []
        for location, spec in self.carried.items():
            recorder.journal.write(location, stand_in(recorder, spec, params))
        self.start = recorder.journal.mark()
        recorder.journal.note_all(self.shared)
        with aside(recorder, self.key) as block:
            go_on = self.test()
        return params, block, recorder.operand(go_on)

    def _values(self) -> list[Tree]:
        """What the carried places hold now, in the program."""
        return [
            part_tree(self.recorder, part)
            for location, spec in self.carried.items()
            for part in parts(spec, location.read())
        ]

    def _trip(self) -> Terminator:
        """One path through the body."""
        recorder = self.recorder
        recorder.journal.note_all(self.shared)
        try:
            self.body()
        except Exception as error:
            refuse_own(error)
            return end(recorder, None, error)
        self.held = {**self.held, **held_since(recorder, self.start)}
        for location in dict.fromkeys([*self.carried, *recorder.journal.since(self.start)]):
            self._note(location)
        if any(not self._covers(location, spec) for location, spec in self.carried.items()):
            return Continue([])  # to be recorded again
        return Continue(self._values())

    def _note(self, location: Location) -> None:
        """Join what a path left in a place to what other paths left there."""
        spec = spec_at(location, location.read())
        if location in self.found:
            spec = self._join(self.found[location], spec, (self.held, self.held))
        self.found[location] = spec

    def _covers(self, location: Location, spec: Spec) -> bool:
        joined = self._join(spec, spec_at(location, location.read()))
        return is_equal(self.recorder, spec, joined)

    def _join(self, left: Spec, right: Spec, held: tuple[Held, Held] = (NOTHING, NOTHING)) -> Spec:
        """The least spec that covers both, whose things hold what `held` says of either."""
        try:
            return Joiner(self.recorder, True, held).join(left, right)
        except CannotJoinError as error:
            raise NotStableError(str(error)) from None

    # -------------------------------------------------------------- between rounds

    def _widen(self) -> bool:
        """Let the carried places cover what the trips left; whether another round is needed.

        A place that only this round has met may be in an object that a trip made for itself. It is carried if the
        next round, which makes its own objects, meets it again.
        """
        self.lasting |= self.found.keys() & self.suspects
        changed = False
        for location, after in self.found.items():
            if location not in self.lasting:
                continue
            if location not in self.before:
                self.recorder.reads.note_location(location)
                self.before[location] = location.read()
            old = self.carried.get(location) or spec_at(location, self.before[location])
            joined = self._join(old, after, (NOTHING, self.held))
            if not is_equal(self.recorder, old, joined):
                self.carried[location] = joined
                changed = True
        new = self.found.keys() - self.lasting
        unconfirmed = bool(new) and (changed or not self.suspects)
        self.suspects = new
        return changed or unconfirmed

    def _emit(self, params: list[Value], test: Block, body: Block) -> None:
        recorder = self.recorder
        inits: list[Tree] = []
        results: list[Value] = []
        for location, spec in self.carried.items():
            inits += [part_tree(recorder, part) for part in parts(spec, self.before[location])]
        recorder.emit(While(params, inits, test, body, results, recorder.modes(), self.place))
        for location, spec in self.carried.items():
            recorder.journal.write(location, stand_in(recorder, spec, results))


def loop_key(recorder: Recorder) -> Hashable:
    """What names the loop that starts here among the open constructs of its region, the same on every run."""
    return "loop", recorder.next_number


@contextmanager
def aside(recorder: Recorder, key: Hashable) -> Iterator[Block]:
    """Record into a block of its own. A decision inside restarts the region with `key` among what is forked."""
    region = recorder.region
    assert region is not None
    outside, recorder.block = recorder.block, Block()
    region.open.append(key)
    try:
        yield recorder.block
        region.open.pop()
    finally:
        recorder.block = outside

"""Statements that fork and join again: the paths through one are recorded apart, and made one at its end.

So the forks of one such statement don't multiply those of the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from d2s.runtime.ir.program import Block, Branch, Value
from d2s.runtime.recording.branches import Merge, Side, held_since, left_by
from d2s.runtime.recording.exceptions import refuse_own
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.merged import Held
from d2s.runtime.recording.outputs import end
from d2s.runtime.recording.places import Location
from d2s.runtime.recording.regions import Region, explore
from d2s.runtime.recording.specs import CannotJoinError

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


def record_joined(
    recorder: Recorder, run: Callable[[], None], carried: Iterable[Location], scratch: Iterable[Location]
) -> None:
    """Do `run`, every path through it, so that what follows is recorded once.

    It may change the locations and whatever the journal hears of. Those in `scratch` are not needed after.
    """
    outer = recorder.region
    assert outer is not None
    region = Region(recorder, inner=outer.inner, around=outer, key=("joined", recorder.next_number))
    if region.key in outer.forked:
        run()
        return
    joined = _Joined(region, run, list(carried), list(scratch))
    try:
        side = explore(region, joined.path, joined.finish, joined.combine).side
    except Exception:
        _append(recorder, joined.alone)
        raise
    if side is None:
        raise region.dissolved()
    _append(recorder, side)
    if region.paths > 1:
        recorder.journal.undo(joined.mark)
        recorder.facts.forget_tensors()
        for location, thing in {**side.after, **side.private}.items():
            recorder.journal.write(location, thing)


def _append(recorder: Recorder, side: Side) -> None:
    """Go on after a side, which takes its place at the end of the current block."""
    recorder.block.ops += side.head.ops
    if side.head is not side.tail:
        recorder.block.terminator = side.head.terminator
        recorder.block = side.tail


@dataclass(frozen=True)
class _Part:
    """A part of the statement, which begins as `head`; `side` is None if every path through it raises."""

    head: Block
    side: Side | None


class _Joined:
    """The paths of one statement."""

    def __init__(
        self, region: Region, run: Callable[[], None], carried: list[Location], scratch: list[Location]
    ) -> None:
        self.region = region
        self.recorder = region.recorder
        self.run = run
        self.carried = carried
        self.scratch = scratch
        self.place = user_location()
        self.mark = self.recorder.journal.mark()
        self.start = self.recorder.next_number
        self.before = {location: location.read() for location in [*carried, *scratch]}
        self.alone = Side(Block(), Block(), None, {})

    def path(self) -> Exception | None:
        """One path; what it raises if it goes on from a decision, else that is raised here."""
        self.recorder.journal.note_all([*self.carried, *self.scratch])
        try:
            self.run()
        except Exception as error:
            refuse_own(error)
            if not self.region.taken:
                self.alone = Side(self.region.head, self.recorder.block, None, {})
                raise
            return error
        return None

    def finish(self, head: Block, error: Exception | None) -> _Part:
        recorder = self.recorder
        if error is None:
            return _Part(head, left_by(recorder, self.mark, self.start, head, recorder.block))
        outer = self.region.around
        assert outer is not None
        if recorder.handlers or not outer.only_ifs_are_open():
            raise self.region.dissolved()
        recorder.block.terminator = end(recorder, None, error)
        return _Part(head, None)

    def combine(self, condition: Value, first: Block, last: Block, then: _Part, orelse: _Part) -> _Part:
        if then.side is None or orelse.side is None:
            last.terminator = Branch(condition, then.head, orelse.head)
            side = then.side or orelse.side
            return _Part(first, side and replace(side, head=first))
        recorder, sides = self.recorder, [then.side, orelse.side]
        recorder.journal.undo(self.mark)
        recorder.next_number = self.region.highest
        recorder.block = last
        merge = Merge(recorder, sides)
        try:
            merged = merge.places(self.before, self.scratch)
        except CannotJoinError:
            raise self.region.dissolved() from None
        merge.emit(condition, self.place)
        self.region.highest = recorder.next_number
        return _Part(first, Side(first, last, None, merged, held=self._held(merged)))

    def _held(self, after: dict[Location, Any]) -> Held:
        """What the things hold that were changed, when the places hold this."""
        journal = self.recorder.journal
        for location, thing in after.items():
            journal.write(location, thing)
        held = held_since(self.recorder, self.mark)
        journal.undo(self.mark)
        return held

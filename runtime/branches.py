"""Records an `if` on a run-time value: both sides, what they changed, and one value for each place that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import refuse_own
from d2s.runtime.journal import MISSING, ContentsLocation, Location
from d2s.runtime.locations import user_location
from d2s.runtime.merging import CannotMergeError, Merger
from d2s.runtime.program import Block, If, Value, Yield

if TYPE_CHECKING:
    from d2s.runtime.recorder import Recorder


@dataclass
class Side:
    """One side of a branch as recorded: its block, its answer, and what it left in each place that it may change."""

    block: Block
    answer: Any
    after: dict[Location, Any]


def record_branch(
    recorder: Recorder,
    condition: Any,
    if_true: Callable[[], Any],
    if_false: Callable[[], Any],
    carried: Iterable[Location] = (),
    scratch: Iterable[Location] = (),
) -> Any:
    """`if_true() if condition else if_false()`, both recorded; the merged answer.

    The sides may change the locations and whatever the journal hears of. Those in `scratch` are not needed after.
    """
    region = recorder.region
    assert region is not None
    value, known = recorder.condition(condition)
    if known is not None or value.number in region.forked:
        return (if_true if recorder.decide(condition) else if_false)()
    carried, scratch = list(carried), list(scratch)
    before = {location: location.read() for location in [*carried, *scratch]}
    region.open.append(value.number)
    sides = [
        _record_side(recorder, value, truth, run, [*carried, *scratch])
        for truth, run in ((True, if_true), (False, if_false))
    ]
    region.open.pop()
    merger = Merger(recorder)
    try:
        merged = _merge_places(merger, before, sides, scratch)
        answer = merger.merge(sides[0].answer, sides[1].answer)
    except CannotMergeError:
        raise region.fork_if(value) from None
    _emit(recorder, value, sides, merger)
    for location, thing in merged.items():
        recorder.journal.write(location, thing)
    return answer


def _record_side(
    recorder: Recorder, condition: Value, truth: bool, run: Callable[[], Any], noted: list[Location]
) -> Side:
    assert recorder.region is not None
    mark = recorder.journal.mark()
    for location in noted:
        recorder.journal.note(location)
    outside, recorder.block = recorder.block, Block()
    try:
        with recorder.facts.supposing(condition, truth):
            answer = run()
    except Exception as error:
        refuse_own(error)
        # The side leaves by an exception of the user's: everything after belongs to the other side.
        recorder.region.open.pop()
        raise recorder.region.fork_if(condition) from None
    finally:
        block, recorder.block = recorder.block, outside
    after = {location: location.read() for location in recorder.journal.since(mark)}
    recorder.journal.undo(mark)
    return Side(block, answer, after)


def _merge_places(
    merger: Merger, before: dict[Location, Any], sides: list[Side], scratch: list[Location]
) -> dict[Location, Any]:
    merged: dict[Location, Any] = {}
    for location in dict.fromkeys([*sides[0].after, *sides[1].after]):
        if location in scratch:
            merged[location] = MISSING
            continue
        old = before[location] if location in before else location.read()
        left, right = (side.after.get(location, old) for side in sides)
        contents = isinstance(location, ContentsLocation)
        merged[location] = merger.merge_contents(left, right) if contents else merger.merge(left, right)
    return merged


def _emit(recorder: Recorder, condition: Value, sides: list[Side], merger: Merger) -> None:
    then, orelse = (side.block for side in sides)
    then.terminator = Yield([left for _, left, _ in merger.results])
    orelse.terminator = Yield([right for _, _, right in merger.results])
    if then.ops or orelse.ops or merger.results:
        results = [value for value, _, _ in merger.results]
        recorder.emit(If(condition, then, orelse, results, user_location()))

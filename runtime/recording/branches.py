"""Records an `if` on a run-time value: both sides, what they changed, and one value for each place that differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.errors import Location as Place
from d2s.runtime.ir.program import Block, Branch, If, Tree, Value, Yield, map_tree
from d2s.runtime.recording.exceptions import refuse_own
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.merged import Held
from d2s.runtime.recording.outputs import end
from d2s.runtime.recording.places import MISSING, ContentsLocation, Location
from d2s.runtime.recording.specs import CannotJoinError, Joiner, Known, Spec, part_tree, parts, spec_at, stand_in

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


# How often an `if` may be inside its own side.
_DEEPEST = 24


@dataclass
class Side:
    """One side of a branch as recorded: its answer, and what it left in each place that it may change.

    Its block begins as `head`; what follows the last thing in it that may raise is in `tail`. `private` is what it
    left in places of objects that it has made itself, and `held` what all things hold that it has changed.
    """

    head: Block
    tail: Block
    answer: Any
    after: dict[Location, Any]
    private: dict[Location, Any] = field(default_factory=dict)
    held: Held = field(default_factory=dict)


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
    place = user_location()
    carried, scratch = list(carried), list(scratch)
    before = {location: location.read() for location in [*carried, *scratch]}
    region.open.append(value.number)
    sides: list[Side] = []
    for truth, run, other in ((True, if_true, if_false), (False, if_false, if_true)):
        with _deeper(recorder, place):
            side = _record_side(recorder, value, truth, run, [*carried, *scratch])
        if side is None:
            region.open.pop()
            return other()  # what follows is on the other side only
        sides.append(side)
    region.open.pop()
    merge = Merge(recorder, sides)
    try:
        merged = merge.places(before, scratch)
        answer = merge.things(sides[0].answer, sides[1].answer)
    except CannotJoinError:
        raise region.fork_if(value) from None
    merge.emit(value, place)
    for location, thing in merged.items():
        recorder.journal.write(location, thing)
    return answer


def call_for_either(flag: Any, call: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any]) -> Any:
    """`call(*args, **kwargs)`, which takes no bool but Python's own: an `if` on `flag`, with either in its place."""

    def with_flag(truth: bool) -> Any:
        given, named = map_tree(lambda leaf: truth if leaf is flag else leaf, (tuple(args), kwargs))
        return call(*given, **named)

    return record_branch(flag.recorder, flag, partial(with_flag, True), partial(with_flag, False))


@contextmanager
def _deeper(recorder: Recorder, place: Place | None) -> Iterator[None]:
    """Inside a side of an `if`.

    Raises:
        TailFound: this very `if` is inside its own side too often, so that no recursion of Python's ends it.
        CaptureError: the same, and what is called there is not the last thing to be done.
    """
    recorder.nested[place] += 1
    if recorder.nested[place] > _DEEPEST:
        recorder.tails.check()
        reason = f"{place.function if place else 'a function'}() calls itself until the value of a tensor stops it"
        raise CaptureError("D2S207", reason, "write it as a loop", place)
    try:
        yield
    finally:
        recorder.nested[place] -= 1


def _record_side(
    recorder: Recorder, condition: Value, truth: bool, run: Callable[[], Any], noted: list[Location]
) -> Side | None:
    """One side; None if it raises: that is an end of the block that was open, and what follows is in a new one."""
    assert recorder.region is not None
    mark = recorder.journal.mark()
    recorder.journal.note_all(noted)
    outside, start = recorder.block, recorder.next_number
    head = recorder.block = Block()
    try:
        with recorder.facts.supposing(condition, truth), recorder.same_modes():
            answer = run()
    except Exception as error:
        refuse_own(error)
        # The side leaves by an exception of the user's: everything after belongs to the other side.
        if recorder.handlers or not recorder.region.only_ifs_are_open():
            recorder.region.open.pop()
            raise recorder.region.fork_if(condition) from None
        recorder.block.terminator = end(recorder, None, error)
        recorder.journal.undo(mark)
        rest = recorder.block = Block()
        outside.terminator = Branch(condition, head, rest) if truth else Branch(condition, rest, head)
        recorder.facts.learn(condition, not truth)
        return None
    except BaseException:
        recorder.block = outside
        raise
    tail, recorder.block = recorder.block, outside
    side = left_by(recorder, mark, start, head, tail, answer)
    recorder.journal.undo(mark)
    return side


def left_by(recorder: Recorder, mark: int, start: int, head: Block, tail: Block, answer: Any = None) -> Side:
    """The side that ends here and began at a mark, when values were numbered from `start`."""
    after: dict[Location, Any] = {}
    private: dict[Location, Any] = {}
    changed = recorder.journal.since(mark)
    contents = {id(place.owner): held for place, held in changed.items() if isinstance(place, ContentsLocation)}
    for location, before in changed.items():
        # What held such a value before it was changed is in an object made since, or a function's that has returned.
        places = private if recorder.is_since(_as_it_was(before, contents), start) else after
        places[location] = location.read()
    return Side(head, tail, answer, after, private, held_since(recorder, mark))


def _as_it_was(thing: Any, contents: dict[int, Any]) -> Any:
    """A thing with what the lists and dicts in it, by their ids, held before."""
    was = contents.get(id(thing), thing)
    if type(was) in (list, tuple):
        return [_as_it_was(item, contents) for item in was]
    return {key: _as_it_was(item, contents) for key, item in was.items()} if type(was) is dict else was


def held_since(recorder: Recorder, mark: int) -> Held:
    """What the things hold now that were changed since a mark, which undoing that will take from them."""
    return recorder.merged.held(location.owner for location in recorder.journal.since(mark))


class Merge:
    """What two sides left, made one; `results` are the values that this takes, each with what the sides yield."""

    def __init__(self, recorder: Recorder, sides: list[Side]):
        self.recorder = recorder
        self._sides = sides
        self.joiner = Joiner(recorder, held=(sides[0].held, sides[1].held))
        self.results: list[Value] = []
        self.yields: tuple[list[Tree], list[Tree]] = ([], [])
        # Each with the two that it was made of: kept, so that no other object gets the id of one.
        self._made: dict[tuple[int, int], tuple[Any, Any, Any]] = {}

    def places(self, before: dict[Location, Any], scratch: list[Location]) -> dict[Location, Any]:
        """What each place that a side has changed holds now."""
        merged: dict[Location, Any] = {}
        for location in dict.fromkeys([*self._sides[0].after, *self._sides[1].after]):
            if location in scratch:
                merged[location] = MISSING
                continue
            old = before[location] if location in before else location.read()
            left, right = (side.after.get(location, old) for side in self._sides)
            if (left is old) is not (right is old):
                self.recorder.reads.note_location(location)
            merged[location] = self._merged(spec_at(location, left), spec_at(location, right), left, right)
        return merged

    def things(self, left: Any, right: Any) -> Any:
        """One thing for two."""
        return self._merged(Known(left), Known(right), left, right)

    def _merged(self, left_spec: Spec, right_spec: Spec, left: Any, right: Any) -> Any:
        """One thing for two, the same for the same two."""
        key = (id(left), id(right))
        if key not in self._made:
            spec = self.joiner.join(left_spec, right_spec)
            both = [parts(spec, thing, side.held) for thing, side in zip((left, right), self._sides, strict=True)]
            for yielded, found in zip(self.yields, both, strict=True):
                yielded += [part_tree(self.recorder, part) for part in found]
            self._made[key] = stand_in(self.recorder, spec, self.results), left, right
            if both[0]:
                self.recorder.gradients.note_histories(self.results[-len(both[0]) :], *both)
        return self._made[key][0]

    def emit(self, condition: Value, place: Place | None) -> None:
        """Add the `if`, unless nothing came of it."""
        for side, yielded in zip(self._sides, self.yields, strict=True):
            side.tail.terminator = Yield(yielded)
        then, orelse = (side.head for side in self._sides)
        if any(side.head is not side.tail for side in self._sides) or then.ops or orelse.ops or self.results:
            self.recorder.emit(If(condition, then, orelse, self.results, self.recorder.modes(), place))

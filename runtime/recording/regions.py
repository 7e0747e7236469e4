"""Regions: the parts of a recording that can be run again, once for each way a decision in them can go.

The function is a region, and so is the body of each loop. Where something asks a run-time value for its truth
and no rule covers it, the region forks: it is run again from its start with that decision taken the other way,
and its block has a branch there with the rest in both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from d2s.runtime.errors import CaptureError, Unwinding
from d2s.runtime.ir.program import Block, Branch, Terminator, Value

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

MOST_PATHS = 64
MOST_DECISIONS = 40

Path = tuple[bool, ...]
Answer = TypeVar("Answer")
Part = TypeVar("Part")


class Restart(Unwinding):
    """Unwinds to the start of a region, to record it again with one more `if` forked."""

    def __init__(self, region: Region):
        super().__init__()
        self.region = region


class RecordAgain(Unwinding):
    """Something was found out that has to be known from the start: the whole function is recorded again."""

    settle: Callable[[], None] = staticmethod(lambda: None)  # to be called before that


@dataclass
class Region:
    """One exploration of a region: which path is being recorded, and what is known from the paths before.

    `forked` holds the keys of the constructs that could not be recorded as such and fork instead: the number of the
    condition for an `if`, `loop_key` for a loop; `open` those of the constructs that are being recorded now.
    `inner` is true in the body of a loop. A statement that forks and joins again is a region in that `around` it, of
    which it is the construct `key`. The section since the last decision begins with the block `head`;
    `sections` are those before, by their first and last blocks.
    """

    recorder: Recorder
    forced: Path = ()
    taken: list[tuple[Value, bool]] = field(default_factory=list)
    head: Block = field(default_factory=Block)
    sections: list[tuple[Block, Block]] = field(default_factory=list)
    forked: set[Hashable] = field(default_factory=set)
    open: list[Hashable] = field(default_factory=list)
    inner: bool = False
    around: Region | None = None
    key: Hashable = None
    paths: int = 0
    highest: int = 0
    _starts: dict[Path, int] = field(default_factory=dict)
    _conditions: dict[Path, Value] = field(default_factory=dict)

    def dissolved(self) -> BaseException:
        """Have the forks of this region be those of the region around it, when that is run again."""
        assert self.around is not None
        self.around.forked.add(self.key)
        return Restart(self.around)

    def decide(self, condition: Value) -> bool:
        """Take a side of a condition, for this run of the region."""
        self.fork_open()
        position = len(self.taken)
        if position >= MOST_DECISIONS:
            raise CaptureError(
                "D2S202",
                f"more than {MOST_DECISIONS} decisions on values of tensors follow one another outside of "
                "loops and ifs that could be rewritten",
                "write the loop that makes them with `while` or `for` in a function that d2s converts",
            )
        before = tuple(taken for _, taken in self.taken)
        if self._conditions.setdefault(before, condition) != condition:
            raise CaptureError(
                "D2S204",
                "the function does not do the same when it is run again with the same inputs",
                "draw random numbers with torch, and keep no state that d2s can't see",
            )
        side = self.forced[position] if position < len(self.forced) else True
        self.taken.append((condition, side))
        if not side:
            # The other side has used numbers: start above them, and there again on every later run.
            self.recorder.next_number = self._starts.setdefault((*before, False), self.highest)
        self.sections.append((self.head, self.recorder.block))
        self.head = self.recorder.block = Block()
        return side

    def fork_open(self) -> None:
        """Go on only outside of every `if` and loop test of the region.

        Raises:
            Restart: we are in some; they fork when the region is run again.
        """
        if self.open:
            self.forked.update(self.open)
            raise Restart(self)

    def only_ifs_are_open(self) -> bool:
        """Whether what is recorded now is in no test of a loop."""
        return all(isinstance(key, int) for key in self.open)

    def fork_if(self, condition: Value) -> BaseException:
        """Have the `if` on this condition, and those around it, fork when the region is run again."""
        self.forked.update([*self.open, condition.number])
        return Restart(self)


def record_region(recorder: Recorder, run: Callable[[], Terminator]) -> Block:
    """Record everything that `run` does, on every path through it; its answer ends each path.

    Leaves the journal and the state of the user's objects as they are after some one path.
    """
    region = Region(recorder, inner=recorder.region is not None)

    def finish(head: Block, terminator: Terminator) -> Block:
        recorder.block.terminator = terminator
        return head

    def combine(condition: Value, first: Block, last: Block, then: Block, orelse: Block) -> Block:
        last.terminator = Branch(condition, then, orelse)
        return first

    return explore(region, run, finish, combine)


def explore(
    region: Region,
    run: Callable[[], Answer],
    finish: Callable[[Block, Answer], Part],
    combine: Callable[[Value, Block, Block, Part, Part], Part],
) -> Part:
    """Run every path through a region.

    `finish(head, answer)` makes the part of the program after the last decision of a path, which begins as `head`;
    `combine(condition, first, last, then, orelse)` that of the section `first` to `last` with a decision at its end.
    """
    return _Explorer(region, run, finish, combine).explore()


class _Explorer(Generic[Answer, Part]):
    """Runs every path through one region. A class, for a closure that calls itself would wait for the collector."""

    def __init__(
        self,
        region: Region,
        run: Callable[[], Answer],
        finish: Callable[[Block, Answer], Part],
        combine: Callable[[Value, Block, Block, Part, Part], Part],
    ):
        self.region, self.recorder = region, region.recorder
        self.run, self.finish, self.combine = run, finish, combine
        self.mark = self.recorder.journal.mark()
        self.facts = self.recorder.facts.copy()
        self.start = region.highest = self.recorder.next_number

    def explore(self) -> Part:
        """The part of the program that all the paths make."""
        recorder, region = self.recorder, self.region
        outer, outer_block = recorder.region, recorder.block
        recorder.region = region
        try:
            return self._part(())
        finally:
            recorder.region, recorder.block, recorder.facts = outer, outer_block, self.facts
            recorder.next_number = max(recorder.next_number, region.highest)

    def _run_path(self, path: Path) -> Answer:
        recorder, region = self.recorder, self.region
        while True:
            recorder.journal.undo(self.mark)
            recorder.next_number = self.start
            region.head = recorder.block = Block()
            recorder.facts = self.facts.copy()
            region.forced, region.taken, region.sections, region.open = path, [], [], []
            try:
                with recorder.same_modes():
                    answer = self.run()
            except Restart as restart:
                if restart.region is not region:
                    raise
            else:
                region.highest = max(region.highest, recorder.next_number)
                return answer

    def _part(self, path: Path) -> Part:
        """What follows the last decision of a path, with all other ways that it can go from there."""
        region = self.region
        region.paths += 1
        if region.paths > MOST_PATHS:
            raise CaptureError(
                "D2S203",
                f"more than {MOST_PATHS} paths lead through decisions that can't be merged",
                "give the variables the same type, and dicts the same keys, whichever branch is taken",
            )
        answer = self._run_path(path)
        made = self.finish(region.head, answer)
        sections, taken = region.sections, region.taken
        for index in reversed(range(len(path), len(taken))):
            prefix = tuple(side for _, side in taken[:index])
            other = self._part((*prefix, False))
            made = self.combine(taken[index][0], *sections[index], made, other)
        return made

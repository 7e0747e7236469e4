"""Regions: the parts of a recording that can be run again, once for each way a decision in them can go.

The function is a region, and so is the body of each loop. Where something asks a run-time value for its truth
and no rule covers it, the region forks: it is run again from its start with that decision taken the other way,
and its block has a branch there with the rest in both sides.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from d2s.runtime.errors import CaptureError, Unwinding
from d2s.runtime.ir.program import Block, Branch, Terminator, Value

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

MOST_PATHS = 64
MOST_DECISIONS = 40

Path = tuple[bool, ...]


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
    `inner` is true for the body of a loop. The section since the last decision begins with the block `head`;
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
    paths: int = 0
    highest: int = 0
    _starts: dict[Path, int] = field(default_factory=dict)
    _conditions: dict[Path, Value] = field(default_factory=dict)

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
    outer = recorder.region
    outer_block = recorder.block
    region = Region(recorder, inner=outer is not None)
    recorder.region = region
    mark = recorder.journal.mark()
    facts = recorder.facts.copy()
    start = recorder.next_number
    region.highest = start

    def run_path(path: Path) -> Terminator:
        while True:
            recorder.journal.undo(mark)
            recorder.next_number = start
            region.head = recorder.block = Block()
            recorder.facts = facts.copy()
            region.forced, region.taken, region.sections, region.open = path, [], [], []
            try:
                with recorder.same_modes():
                    terminator = run()
            except Restart as restart:
                if restart.region is not region:
                    raise
            else:
                region.highest = max(region.highest, recorder.next_number)
                return terminator

    def record(path: Path) -> Block:
        """The block of what follows the last decision of a path."""
        region.paths += 1
        if region.paths > MOST_PATHS:
            raise CaptureError(
                "D2S203",
                f"more than {MOST_PATHS} paths lead through decisions that can't be merged",
                "give the variables the same type, and dicts the same keys, whichever branch is taken",
            )
        terminator = run_path(path)
        recorder.block.terminator = terminator
        sections, rest = region.sections, region.head
        taken = region.taken
        for index in reversed(range(len(path), len(taken))):
            prefix = tuple(side for _, side in taken[:index])
            other = record((*prefix, False))
            condition = taken[index][0]
            first, last = sections[index]
            last.terminator = Branch(condition, rest, other)
            rest = first
        return rest

    try:
        return record(())
    finally:
        recorder.region, recorder.block, recorder.facts = outer, outer_block, facts
        recorder.next_number = max(recorder.next_number, region.highest)

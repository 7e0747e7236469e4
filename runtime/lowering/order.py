"""Says what of a program comes after what, loops being taken into account."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from d2s.runtime.ir.program import Block, Call, Op, Program, Value, While, terminator_tree, values_in


class Order:
    """Where the values of a program are defined and used, in the order in which its ops first run.

    `places` are those of its calls. Inputs are the user's, and used in the end.
    """

    def __init__(self, program: Program):
        self.places: dict[Call, int] = {}
        self._defined: dict[Value, int] = {}
        self._used: dict[Value, list[int]] = defaultdict(list)
        self._loops: list[tuple[int, int]] = []
        self._place = 0
        inputs = [entry.value for entry in program.inputs]
        self._define(inputs)
        self._block(program.body)
        self._use(inputs)

    def is_used_after(self, value: Value, place: int) -> bool:
        """Whether a value that is there at a place is used after it, in another trip of a loop around it included."""
        defined = self._defined[value]
        around = [(start, end) for start, end in self._loops if defined < start < place <= end]
        again = any(start < use <= end for start, end in around for use in self._used[value])
        return defined < place and (again or any(use > place for use in self._used[value]))

    def _define(self, values: Iterable[Value]) -> None:
        self._defined.update((value, self._place) for value in values)

    def _use(self, values: Iterable[Value]) -> None:
        self._place += 1
        for value in values:
            self._used[value].append(self._place)

    def _block(self, block: Block) -> None:
        for op in block.ops:
            self._use(op.operands)
            if isinstance(op, Call):
                self.places[op] = self._place
                self._define(op.results)
            else:
                self._region(op)
        self._use(values_in(terminator_tree(block.terminator)))

    def _region(self, op: Op) -> None:
        start = self._place
        if isinstance(op, While):
            self._place += 1
            self._define(op.params)
        for block in op.blocks:
            self._block(block)
        if isinstance(op, While):
            self._loops.append((start, self._place))
        self._place += 1
        self._define(op.results)

"""Says whose memory a value may be in: that of a call which made it, or of an input of the program."""

from __future__ import annotations

from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import Block, Call, Op, Program, Tree, Value, is_tensor, values_in, walk_ops


class Origins:
    """For each tensor of a program the values, inputs or results of calls, whose memory it may be in."""

    def __init__(self, program: Program):
        self._found: dict[Value, frozenset[Value]] = {}
        self._definitions: dict[Value, Call] = {}
        for entry in program.inputs:
            self._found[entry.value] = frozenset([entry.value])
        ops = list(walk_ops(program.body))
        known = -1
        while known != (known := sum(map(len, self._found.values()))):
            for op in ops:
                self._learn(op)

    def of(self, tree: Tree) -> frozenset[Value]:
        """The origins of the tensors in a tree."""
        found = (self._found.get(value, frozenset()) for value in values_in(tree))
        return frozenset().union(*found)

    def root(self, value: Value) -> Value:
        """The value that one is a view of, by calls alone: what a branch or a loop gives is a root."""
        path = self.path(value)
        return path[0].effects.aliases[0] if path else value

    def path(self, value: Value) -> list[Call]:
        """The calls that make a view of its root, in order."""
        found: list[Call] = []
        while (call := self._definitions.get(value)) is not None and len(call.effects.aliases) == 1:
            found.insert(0, call)
            (value,) = call.effects.aliases
        return found

    def written(self, *blocks: Block) -> list[Value]:
        """The roots of what is written in blocks, each once."""
        calls = [op for block in blocks for op in walk_ops(block) if isinstance(op, Call)]
        return list(dict.fromkeys(self.root(value) for call in calls for value in call.effects.writes))

    def sharing(self, value: Value) -> list[Value]:
        """The values that may be in the same memory."""
        mine = self.of(value)
        return [other for other, origins in self._found.items() if origins & mine]

    def _learn(self, op: Op) -> None:
        """Take over what an op says of its results, as far as it is known."""
        if not isinstance(op, Call):
            for value, sources in joined_values(op):
                self._found[value] = self._found.get(value, frozenset()) | self.of(sources)
            return
        for value in op.results:
            self._definitions[value] = op
            if is_tensor(value.type):
                self._found[value] = self.of(op.effects.aliases) if op.effects.aliases else frozenset([value])

"""Which values ops and loops define."""

from __future__ import annotations

from d2s.runtime.ir.program import If, Op, Value, While, walk_ops


def defined_by(op: Op) -> list[Value]:
    """The values that an op defines, those that a loop carries included."""
    return [*(op.params if isinstance(op, While) else ()), *op.results]


def defined_in(op: If | While) -> set[Value]:
    """The values that are new each time that a branch or a trip of a loop runs."""
    inside = (inner for block in op.blocks for inner in walk_ops(block))
    carried = op.params if isinstance(op, While) else ()
    return {*carried, *(value for inner in inside for value in defined_by(inner))}

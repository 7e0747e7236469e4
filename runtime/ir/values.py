"""Which values ops and loops define."""

from __future__ import annotations

from d2s.runtime.ir.program import Op, Value, While, walk_ops


def defined_by(op: Op) -> list[Value]:
    """The values that an op defines, those that a loop carries included."""
    return [*(op.params if isinstance(op, While) else ()), *op.results]


def defined_in(loop: While) -> set[Value]:
    """The values that are new in every trip of a loop."""
    inside = (inner for block in loop.blocks for inner in walk_ops(block))
    return {*loop.params, *(value for op in inside for value in defined_by(op))}

"""Which values a program defines where."""

from __future__ import annotations

from d2s.runtime.ir.program import Value, While, walk_ops


def defined_in(loop: While) -> set[Value]:
    """The values that are new in every trip of a loop."""
    ops = [inner for block in loop.blocks for inner in walk_ops(block)]
    carried = [value for one in (loop, *ops) if isinstance(one, While) for value in one.params]
    return {*carried, *(value for one in ops for value in one.results)}

"""Where paths come together: which values are joined of which others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from d2s.runtime.ir.program import Block, Condition, Continue, If, Op, Value, While, Yield


def joined_values(op: Op) -> Iterator[tuple[Value, list[Any]]]:
    """Each value that is joined of others, with those, the newest assignment first."""
    if isinstance(op, If):
        for index, result in enumerate(op.results):
            yield result, [yielded[index] for block in op.blocks for yielded in _ends(block)]
    elif isinstance(op, While):
        for index, param in enumerate(op.params):
            yield param, [*(carried[index] for carried in _ends(op.body)), op.inits[index]]
        for index, result in enumerate(op.results):
            yield result, [exits[index] for exits in _ends(op.test)]


def _ends(block: Block) -> Iterator[list[Any]]:
    for leaf in block.leaves():
        match leaf.terminator:
            case Yield(values) | Continue(values):
                yield values
            case Condition(_, exits):
                yield exits

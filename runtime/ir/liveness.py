"""Which values a program still needs after each op: the free values of blocks, and where values die."""

from __future__ import annotations

from collections.abc import Iterable

from d2s.runtime.ir.program import Block, Branch, Op, Value, While, terminator_tree, values_in


def free_values(block: Block) -> list[Value]:
    """The values that a block uses and does not define, in order of first use, each once."""
    return list(_free_of_block(block, set()))


def op_uses(op: Op) -> list[Value]:
    """The outer values that an op uses, those used in its blocks included, each once."""
    found = dict.fromkeys(op.operands)
    inside = set(op.params) if isinstance(op, While) else set()
    for block in op.blocks:
        found.update(_free_of_block(block, inside))
        if isinstance(op, While):
            inside |= {value for inner in block.ops for value in inner.results}
    return list(found)


def deaths(block: Block) -> list[list[Value]]:
    """For each op of a block, the values defined in the block that nothing after that op needs."""
    live = set(terminator_uses(block))
    own = {value for op in block.ops for value in op.results}
    dying: list[list[Value]] = []
    for op in reversed(block.ops):
        ending_here = [v for v in dict.fromkeys([*op_uses(op), *op.results]) if v in own and v not in live]
        dying.append(ending_here)
        live.update(ending_here)
    dying.reverse()
    return dying


def terminator_uses(block: Block) -> list[Value]:
    """The values of this block or of outer ones that its end needs, the sides of a fork included."""
    found = dict.fromkeys(values_in(terminator_tree(block.terminator)))
    if isinstance(block.terminator, Branch):
        found.update(dict.fromkeys(free_values(block.terminator.then)))
        found.update(dict.fromkeys(free_values(block.terminator.orelse)))
    return list(found)


def _free_of_block(block: Block, outside: Iterable[Value]) -> dict[Value, None]:
    defined = set(outside)
    found: dict[Value, None] = {}
    for op in block.ops:
        found.update((value, None) for value in op_uses(op) if value not in defined)
        defined.update(op.results)
    found.update((value, None) for value in terminator_uses(block) if value not in defined)
    return found

"""Moves calls out of loops that give the same in every trip: loop-invariant code motion."""

from __future__ import annotations

from d2s.runtime.ir.program import Block, Call, Op, Program, TensorType, While
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.values import defined_in
from d2s.runtime.passes.facts import has_gradients, is_repeatable, is_total
from d2s.runtime.passes.memory import Memory


def with_invariants_outside(program: Program) -> Program:
    """The program with what no trip changes computed once before it, if that can't raise and nobody can tell.

    Only what stands directly in the body moves, so that what few trips need is not computed for nothing; what
    gradients go through stays, for they would be rounded otherwise.
    """
    return _Outside(Memory(program)).program(program)


class _Outside(Rewriter):
    def __init__(self, memory: Memory):
        self._memory = memory

    def block(self, block: Block) -> Block:
        made = super().block(block)
        return Block([moved for op in made.ops for moved in self._with_moved(op)], made.terminator)

    def _with_moved(self, op: Op) -> list[Op]:
        """An op, before it what was in it and need not be."""
        if not isinstance(op, While):
            return [op]
        inside = defined_in(op)
        moved: list[Op] = []
        for block in op.blocks:
            for call in block.ops:
                if isinstance(call, Call) and self._is_movable(call) and not inside.intersection(call.operands):
                    moved.append(call)
                    inside.difference_update(call.results)
        for block in op.blocks:
            block.ops = [one for one in block.ops if one not in moved]
        return [*moved, op]

    def _is_movable(self, call: Call) -> bool:
        gives_tensors = any(isinstance(value.type, TensorType) for value in call.results)
        return gives_tensors and not has_gradients(call) and is_total(call) and is_repeatable(call, self._memory)

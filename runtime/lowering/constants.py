"""Makes the tensors of known numbers, which branches and loops make, at the beginning, and copies them inside.

                                          t9 = torch.tensor([1, 2])
while ...:                            ->  while ...:
    t4 = torch.tensor([1, 2])                 t4 = torch.clone(t9)

A tracer keeps such a tensor with the code that makes it, and there torch's operators for loops do not find it.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from d2s.runtime.ir.program import Call, If, Op, Program, Value, While, walk_ops
from d2s.runtime.lowering.builder import Expander


def with_constants_first(program: Program) -> Program:
    """The program with all tensors of known numbers made outside of branches and loops."""
    return _Constants(program).program(program)


class _Constants(Expander):
    def __init__(self, program: Program):
        super().__init__(program)
        self._made: dict[Call, Value] = {}
        inside = [block for op in program.body.ops if isinstance(op, If | While) for block in op.blocks]
        self._moved = [op for block in inside for op in walk_ops(block) if isinstance(op, Call) and _is_constant(op)]

    def program(self, program: Program) -> Program:
        return replace(program, body=self.block(program.body, begin=self._begin))

    def _begin(self) -> None:
        for op in self._moved:
            self._modes, self._location = op.modes, op.location
            self._made[op] = self.call(op.target, *op.args, to=op.results[0].type, **op.kwargs)

    def expand(self, op: Op) -> Op | None:
        if isinstance(op, Call) and op in self._made:
            self.replace(op.results[0], self.call(torch.clone, self._made[op], to=op.results[0].type))
            return None
        return self.op(op)


def _is_constant(call: Call) -> bool:
    return call.target is torch.tensor and not call.operands and isinstance(call.result, Value)

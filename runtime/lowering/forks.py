"""Makes branches of forks, so that a program ends in one place: with all that any of its ends needs, and which it is.

branch t1:                          n5, t6 = if t1:
    return t2, "small"       ->         yield 0, t2
else:                               else:
    return t3, "large"                  yield 1, t3
                                    return (n5, t6)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from d2s.runtime.ir.editing import fresh_number
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Condition,
    Continue,
    If,
    Op,
    Program,
    PythonType,
    Raise,
    Return,
    Terminator,
    Tree,
    Value,
    ValueType,
    While,
    Yield,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.lowering.ends import End, Ends
from d2s.runtime.lowering.refusing import LoweringError


def with_one_end(program: Program) -> tuple[Program, list[End]]:
    """The program with one `return`, and the ends that it may come to.

    It returns a tuple: the number of the end, if there are several, and the values that ends are made of. Where an
    end has no value for a place there is None.

    Raises:
        LoweringError: it raises inside a branch or a loop.
    """
    ends = Ends(program)
    unforked = _Unforked(program, ends)
    return unforked.program(program), ends.found


class _Unforked(Rewriter):
    def __init__(self, program: Program, ends: Ends):
        self._numbers = itertools.count(fresh_number(program))
        self._modes = program.modes
        self._ends = ends

    def program(self, program: Program) -> Program:
        types = self._ends.types
        body = self._joined(program.body, types, lambda values: Return(tuple(values)))
        return Program(program.name, program.inputs, body, program.modes, program.names)

    def op(self, op: Op) -> Op:
        match op:
            case If(results=results):
                then, orelse = (self._joined(side, [one.type for one in results], Yield) for side in op.blocks)
                return If(op.condition, then, orelse, results, op.modes, op.location)
            case While(params=params, results=results):
                types = [PythonType(bool), *(one.type for one in results)]
                test = self._joined(op.test, types, lambda values: Condition(values[0], values[1:]))
                body = self._joined(op.body, [one.type for one in params], Continue)
                return While(params, op.inits, test, body, results, op.modes, op.location)
        return op

    def _joined(self, block: Block, types: Sequence[ValueType], end: Callable[[list[Tree]], Terminator]) -> Block:
        """A block in which both sides of its fork go on to one end."""
        ops, values = self._values(block, types)
        return Block(ops, end(values))

    def _values(self, block: Block, types: Sequence[ValueType]) -> tuple[list[Op], list[Tree]]:
        """The ops of a block, forks being branches, and the values at its end."""
        ops = list(map(self.op, block.ops))
        match block.terminator:
            case Branch(condition, then, orelse):
                sides = [self._joined(side, types, Yield) for side in (then, orelse)]
                results = [Value(next(self._numbers), kind) for kind in types]
                return [*ops, If(condition, sides[0], sides[1], results, self._modes)], list(results)
            case Yield(values) | Continue(values):
                return ops, list(values)
            case Condition(go_on, exits):
                return ops, [go_on, *exits]
            case Return() | Raise() if block in self._ends.values:
                return list(map(self.op, self._ends.ops[block])), self._ends.values[block]
        raise LoweringError("an exception that is raised in a branch or a loop can't be lowered")

"""Finds the parts of a program that can be compiled where the whole can't be, and makes calls of them.

while ...:                                 while ...:
    t4 = torch.Tensor.mul(t2, 2)               t6 = stretch(t2)
    t5 = torch.Tensor.add(t4, 1)       ->      list.append(l1, t6)
    t6 = torch.Tensor.tanh(t5)
    list.append(l1, t6)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from d2s.runtime.backend.histories import sources_of_gradients
from d2s.runtime.ir.liveness import free_values
from d2s.runtime.ir.program import (
    ORDERED,
    Block,
    Branch,
    Call,
    Input,
    Op,
    Program,
    Raise,
    Return,
    Value,
    terminator_tree,
    use_counts,
    values_in,
    walk_ops,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.sources import Argument
from d2s.runtime.ir.values import defined_in
from d2s.runtime.lowering.ends import is_lowered
from d2s.runtime.lowering.origins import Origins
from d2s.runtime.lowering.pipeline import lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.verify import verify

# As many calls at least make up for the one in their place.
_FEWEST_CALLS = 4
Compile = Callable[[Program], Callable[..., tuple[Any, ...]]]


def in_stretches(program: Program, compiled: Compile, straight: bool = False) -> Program:
    """A program that calls functions in place of what can be lowered on its own, if need be only of `straight` code.

    `compiled` makes a function of a program; that gives the tuple which the program returns. Of what a function
    returns, no more than one value is among those that gradients may be wanted with regard to, and it is the last.
    """
    return verify(_Stretches(program, compiled, straight).program(program))


class _Stretches(Rewriter):
    def __init__(self, program: Program, compiled: Compile, straight: bool):
        self._count = 0
        self._straight = straight
        self._name = program.name
        self._compiled = compiled
        self._uses = use_counts(program)
        self._sources = sources_of_gradients(program)

    def block(self, block: Block) -> Block:
        ops: list[Op] = []
        for run in self._runs(block.ops):
            call = self._stretch(run)
            ops += [call] if call is not None else map(self.op, run)
        return Block(ops, None if block.terminator is None else self.terminator(block.terminator))

    def _stretch(self, ops: list[Op]) -> Call | None:
        """A call in place of ops in one mode; None if they are too few, or can't be lowered."""
        calls = sum(isinstance(one, Call) for one in walk_ops(Block(ops)))
        if calls < _FEWEST_CALLS or not all(map(self._is_plain, ops)):
            return None
        inside = use_counts(Program(self._name, body=Block(ops, Return(()))))
        made = [value for op in ops for value in op.results if self._uses[value] > inside[value]]
        given = free_values(Block(ops, Return(tuple(made))))
        program = _Renamed(given).stretch(f"{self._name}_{self._count}", ops, made)
        if not _can_be_lowered(program):
            return None
        self._count += 1
        target = self._compiled(program)
        return Call(target, tuple(given), {}, tuple(made), ORDERED, ops[0].modes, ops[0].location)

    def _runs(self, ops: Sequence[Op]) -> list[list[Op]]:
        """Ops in runs, of those that may be lowered in one mode, and of single others."""
        runs: list[list[Op]] = []
        for op in ops:
            last = runs[-1][-1] if runs else None
            if last is not None and op.modes == last.modes and self._is_plain(op) and self._may_be_followed(last):
                runs[-1].append(op)
            else:
                runs.append([op])
        return runs

    def _is_plain(self, op: Op) -> bool:
        """Whether an op may be in a graph."""
        if isinstance(op, Call):
            return _is_plain(op)
        return not self._straight and _is_plain(op) and not self._sources.intersection(defined_in(op))

    def _may_be_followed(self, op: Op) -> bool:
        """Whether more may be in a graph behind an op."""
        return self._is_plain(op) and not self._sources.intersection(op.results)


def _can_be_lowered(program: Program) -> bool:
    """Whether a program can be lowered, and what it returns shares no memory but that of its inputs.

    Lowered code gives each result memory of its own: what is written to one of them later would not be in another.
    """
    origins = Origins(program)
    inputs = {entry.value for entry in program.inputs}
    assert isinstance(program.body.terminator, Return)
    memory = [origin for value in program.body.terminator.value for origin in origins.of(value) - inputs]
    if len(memory) != len(set(memory)):
        return False
    try:
        lowered(program)
    except LoweringError:
        return False
    return True


class _Renamed(Rewriter):
    """Ops as a program of their own, whose inputs are the values that they are given."""

    def __init__(self, given: Sequence[Value]):
        self._inputs = {value: Value(-1 - place, value.type) for place, value in enumerate(given)}

    def value(self, value: Value) -> Value:
        return self._inputs.get(value, value)

    def stretch(self, name: str, ops: list[Op], made: list[Value]) -> Program:
        inputs = [Input(value, Argument(str(value))) for value in self._inputs.values()]
        body = self.block(Block(ops, Return(tuple(made))))
        return verify(Program(name, inputs, body, ops[0].modes))


def _is_plain(op: Op) -> bool:
    """Whether an op and all inside it are of tensors and numbers alone, and do no more than to compute."""
    values = [*op.operands, *op.results]
    if isinstance(op, Call):
        return not op.effects.ordered and all(is_lowered(one.type) for one in values)
    for block in op.blocks:
        if isinstance(block.terminator, Branch | Raise) or not all(map(_is_plain, block.ops)):
            return False
        values += values_in(terminator_tree(block.terminator))
    return all(is_lowered(one.type) for one in values)

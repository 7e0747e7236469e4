"""Cuts a program at a value, to look at that."""

from __future__ import annotations

import torch

from d2s.runtime.ir.editing import fresh_number
from d2s.runtime.ir.program import (
    Call,
    Effects,
    Program,
    PythonType,
    Return,
    TensorType,
    Value,
    While,
    walk_blocks,
    walk_ops,
)


def cut(program: Program, value: Value) -> None:
    """Have a program give a value: the one that it has, or a list of all that it takes if it is in an `if` or a loop.

    What the program does after its only definition is left out. What it leaves changed in its state is left out too.
    """
    if any(entry.value == value for entry in program.inputs):
        program.body.ops, program.body.terminator = [], Return(value)
        return
    for index, op in enumerate(program.body.ops):
        if value in op.results:
            program.body.ops, program.body.terminator = program.body.ops[: index + 1], Return(value)
            return
    _collect(program, value)


def _collect(program: Program, value: Value) -> None:
    """Put the value into a list wherever it is defined, and return that."""
    number = fresh_number(program)
    taken = Value(number, PythonType(list))
    changes_tensors = any(isinstance(op, Call) and op.effects.writes for op in walk_ops(program.body))
    for block in walk_blocks(program.body):
        for index in reversed(range(len(block.ops))):
            op = block.ops[index]
            if value in op.results:
                number += 1
                block.ops[index + 1 : index + 1] = _appending(
                    taken, value, Value(number, value.type), changes_tensors
                )
            if isinstance(op, While) and value in op.params:
                number += 1
                op.test.ops[:0] = _appending(taken, value, Value(number, value.type), changes_tensors)
    program.body.ops.insert(0, Call(list, result=taken, modes=program.modes))
    for leaf in walk_blocks(program.body):
        if isinstance(leaf.terminator, Return):
            leaf.terminator = Return(taken)


def _appending(taken: Value, value: Value, copy: Value, changes_tensors: bool) -> list[Call]:
    ops = []
    if changes_tensors and isinstance(value.type, TensorType):
        ops.append(Call(torch.clone, (value,), result=copy))
        value = copy
    return [*ops, Call(list.append, (taken, value), effects=Effects(writes=(taken,), aliases=(value,)))]

"""The reference executor: runs a program op by op, slow and obviously right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from d2s.runtime.errors import RaisedAfterWrites
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    If,
    Op,
    Program,
    Raise,
    Return,
    Terminator,
    Value,
    Write,
    map_tree,
)

Environment = dict[Value, Any]


def run_program(program: Program, inputs: Sequence[Any]) -> tuple[Any, Sequence[Write], tuple[Any, ...]]:
    """Run on one object for each of the program's inputs.

    Returns the answer, the writes of the end that the run took, and the values of those writes. Raises
    whatever the program raises, inside a `RaisedAfterWrites` where there are writes.
    """
    environment = {entry.value: given for entry, given in zip(program.inputs, inputs, strict=True)}
    ending = _run_block(program.body, environment)
    assert isinstance(ending, Return)
    return _read(ending.value, environment), ending.writes, _written(ending, environment)


def _read(tree: Any, environment: Environment) -> Any:
    return map_tree(lambda leaf: environment[leaf] if isinstance(leaf, Value) else leaf, tree)


def _written(ending: Return | Raise, environment: Environment) -> tuple[Any, ...]:
    return tuple(_read(write.value, environment) for write in ending.writes)


def _bind(result: Any, outcome: Any, environment: Environment) -> None:
    if isinstance(result, Value):
        environment[result] = outcome
    elif isinstance(result, tuple):
        for part, item in zip(result, outcome, strict=True):
            _bind(part, item, environment)


def _run_block(block: Block, environment: Environment) -> Terminator | None:
    for op in block.ops:
        _run_op(op, environment)
    ending = block.terminator
    if isinstance(ending, Branch):
        return _run_block(ending.then if environment[ending.condition] else ending.orelse, environment)
    if isinstance(ending, Raise):
        exception = _read(ending.exception, environment)
        raise (
            RaisedAfterWrites(exception, ending.writes, _written(ending, environment)) if ending.writes else exception
        )
    return ending


def _run_op(op: Op, environment: Environment) -> None:
    if isinstance(op, Call):
        with op.modes.entered():
            outcome = op.target(*_read(op.args, environment), **_read(op.kwargs, environment))
        _bind(op.result, outcome, environment)
        return
    if isinstance(op, If):
        ending: Any = _run_block(op.then if environment[op.condition] else op.orelse, environment)
        _bind(tuple(op.results), _read(ending.values, environment), environment)
        return
    state = _read(op.inits, environment)
    while True:
        _bind(tuple(op.params), state, environment)
        ending = _run_block(op.test, environment)
        assert isinstance(ending, Condition)
        if not _read(ending.go_on, environment):
            break
        ending = _run_block(op.body, environment)
        state = _read(ending.values, environment)
    _bind(tuple(op.results), _read(ending.exits, environment), environment)

"""Checks that a program keeps the rules of its grammar; run after the recording and after each pass."""

from __future__ import annotations

from collections.abc import Iterable

from d2s.runtime.errors import VerificationError
from d2s.runtime.ir.printer import format_block
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Raise,
    Return,
    Value,
    While,
    Yield,
    terminator_tree,
    values_in,
)


def verify(program: Program) -> Program:
    """The same program.

    Raises:
        VerificationError: a value is used where it is not defined or is defined twice on one path, or a
            block does not end as its place demands; the message shows the block.
    """
    visible: set[Value] = set()
    _define(visible, (entry.value for entry in program.inputs), program.body)
    _check_block(program.body, visible, (Return, Raise), 1)
    return program


def _fail(block: Block, problem: str) -> None:
    raise VerificationError(problem + ", in\n" + "\n".join("    " + line for line in format_block(block)))


def _define(visible: set[Value], values: Iterable[Value], block: Block) -> None:
    for value in values:
        if value in visible:
            _fail(block, f"{value} is defined twice")
        visible.add(value)


def _check_uses(values: Iterable[Value], visible: set[Value], block: Block) -> None:
    for value in values:
        if value not in visible:
            _fail(block, f"{value} is used where it is not defined")


def _check_block(block: Block, outer: set[Value], endings: tuple[type, ...], arity: int) -> set[Value]:
    """Check one block; the values visible at its end are the answer."""
    visible = set(outer)
    for op in block.ops:
        _check_uses(op.operands, visible, block)
        _check_op(op, visible, block)
        _define(visible, op.results, block)
    ending = block.terminator
    _check_uses(values_in(terminator_tree(ending)), visible, block)
    if isinstance(ending, Branch):
        _check_block(ending.then, visible, endings, arity)
        _check_block(ending.orelse, visible, endings, arity)
    elif not isinstance(ending, (*endings, Raise)):
        _fail(block, f"a block that must end in {_names(endings)} ends in {type(ending).__name__}")
    elif isinstance(ending, Yield | Condition | Continue):
        found = len(ending.exits) if isinstance(ending, Condition) else len(ending.values)
        if found != arity:
            _fail(block, f"{type(ending).__name__.lower()} has {found} values where {arity} are wanted")
    return visible


def _names(kinds: tuple[type, ...]) -> str:
    return " or ".join(kind.__name__ for kind in kinds)


def _check_op(op: Op, visible: set[Value], block: Block) -> None:
    if isinstance(op, Call):
        if not callable(op.target):
            _fail(block, f"{op.target!r} can't be called")
        _check_uses((*op.effects.writes, *op.effects.aliases), visible, block)
    elif isinstance(op, If):
        for side in op.blocks:
            _check_block(side, visible, (Yield,), len(op.results))
    elif isinstance(op, While):
        _check_while(op, visible, block)


def _check_while(op: While, visible: set[Value], block: Block) -> None:
    if len(op.params) != len(op.inits):
        _fail(block, f"a while has {len(op.params)} parameters and {len(op.inits)} initial values")
    inside = set(visible)
    _define(inside, op.params, block)
    after_test = _check_block(op.test, inside, (Condition,), len(op.results))
    _check_block(op.body, after_test, (Continue,), len(op.params))

"""Leaves out what nothing needs: calls whose results are not used, and values joined or carried for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.normal import Uses
from d2s.runtime.ir.program import (
    Block,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Terminator,
    While,
    Yield,
    walk_ops,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.passes.facts import is_total


def without_dead_code(program: Program) -> Program:
    """The program without what nobody can tell is gone: what may raise, or does more than give a result, stays."""
    while True:
        smaller = _Needed(Uses(program.body, only_compute=is_total)).program(program)
        if _size(smaller) == _size(program):
            return program
        program = smaller


def _size(program: Program) -> int:
    return sum(1 + len(op.results) for op in walk_ops(program.body))


class _Needed(Rewriter):
    """One round: what decides about something that is left out is needed until the next one."""

    def __init__(self, uses: Uses):
        self._uses = uses
        self._joined: Sequence[int] = ()
        self._carried: Sequence[int] = ()

    def block(self, block: Block) -> Block:
        kept = Block([op for op in block.ops if not self._is_dead(op)], block.terminator)
        return super().block(kept)

    def _is_dead(self, op: Op) -> bool:
        if self._uses.used(op.results):
            return False
        if isinstance(op, If):
            return all(isinstance(side.terminator, Yield) and all(map(self._is_dead, side.ops)) for side in op.blocks)
        return isinstance(op, Call) and is_total(op)

    def op(self, op: Op) -> Op:
        outside = self._joined, self._carried
        if not isinstance(op, Call):
            self._joined = self._uses.used(op.results)
        if isinstance(op, While):
            self._carried = self._uses.used(op.params)
        made = super().op(op)
        if isinstance(made, If | While):
            made = replace(made, results=_at(self._joined, made.results))
        if isinstance(made, While):
            made = replace(made, params=_at(self._carried, made.params), inits=_at(self._carried, made.inits))
        self._joined, self._carried = outside
        return made

    def terminator(self, terminator: Terminator) -> Terminator:
        match terminator:
            case Yield(values):
                terminator = Yield(_at(self._joined, values))
            case Continue(values):
                terminator = Continue(_at(self._carried, values))
            case Condition(go_on, exits):
                terminator = Condition(go_on, _at(self._joined, exits))
        return super().terminator(terminator)


def _at(places: Sequence[int], items: Sequence[Any]) -> list[Any]:
    return [items[place] for place in places]

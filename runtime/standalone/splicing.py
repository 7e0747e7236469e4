"""Puts the ops of one program into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.editing import fresh_number
from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.program import Block, Op, Program, Return, Tree, Value
from d2s.runtime.ir.rewriting import Rewriter


def spliced(program: Program, given: Mapping[Value, Tree], host: Program, modes: Modes) -> tuple[list[Op], Tree]:
    """The ops of a program that ends in one `return`, as ops of the host, and what it returns.

    `given` are the values of the host, or constants, that its inputs are; `modes` are those at that place.
    """
    splice = _Splice(given, fresh_number(host), program.modes, modes)
    block = splice.block(Block(program.body.ops))
    end = program.body.terminator
    assert isinstance(end, Return)
    return block.ops, splice.tree(end.value)


class _Splice(Rewriter):
    def __init__(self, given: Mapping[Value, Tree], number: int, inside: Modes, outside: Modes):
        self._values: dict[Value, Any] = dict(given)
        self._number = number
        self._inside = inside
        self._outside = outside

    def value(self, value: Value) -> Any:
        return self._values[value]

    def define(self, value: Value) -> Value:
        self._values[value] = made = Value(self._number, value.type)
        self._number += 1
        return made

    def modes(self, modes: Modes) -> Modes:
        """Those that were entered inside are entered; for the rest it is as the host is at that place."""
        return replace(
            self._outside,
            grad=self._outside.grad if modes.grad is self._inside.grad else modes.grad,
            inference=self._outside.inference if modes.inference is self._inside.inference else modes.inference,
            autocast=self._outside.autocast + modes.autocast[len(self._inside.autocast) :],
            hooks=self._outside.hooks + modes.hooks[len(self._inside.hooks) :],
        )

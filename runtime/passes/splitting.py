"""Splits recurrent cells whose input no trip changes, so that half of what they compute can be moved out of the loop.

A cell applies one linear map to its input and one to its state, and then gates. The calls that stand for it here are
those that torch's own cells make, in the same order, so that they round the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.ir.editing import fresh_number
from d2s.runtime.ir.program import (
    PURE,
    Block,
    Call,
    Effects,
    Op,
    Program,
    TensorType,
    Tree,
    Value,
    ValueType,
    While,
    values_in,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.values import defined_in
from d2s.runtime.passes.facts import has_gradients

# How many products a map has to be of, to be worth the calls of the gates one by one where each costs microseconds.
WORTH_CALLS = 500_000


def with_split_cells(program: Program, worth: int = 0) -> Program:
    """The program with linear maps and gates in place of a cell in a loop, of which one map is the same in all trips.

    The map is of at least `worth` products. What gradients go through is left as it is, for the map would stay where
    it is.
    """
    return _Split(fresh_number(program), worth).program(program)


class _Split(Rewriter):
    def __init__(self, number: int, worth: int):
        self._number = number
        self._worth = worth
        self._inside: set[Value] | None = None

    def trip(self, op: While) -> tuple[Block, Block]:
        outside, self._inside = self._inside, defined_in(op)
        blocks = super().trip(op)
        self._inside = outside
        return blocks

    def block(self, block: Block) -> Block:
        made = super().block(block)
        return Block([one for op in made.ops for one in self._parts(op)], made.terminator)

    def _parts(self, op: Op) -> Sequence[Op]:
        if not isinstance(op, Call) or op.target not in _CELLS or not self._can_be_split(op):
            return [op]
        parts = _Parts(op, self._number)
        _CELLS[op.target](parts, *op.args)
        self._number = parts.number
        return parts.calls

    def _can_be_split(self, cell: Call) -> bool:
        """Whether one of the two maps can move, and the cell is of the common form."""
        if self._inside is None or len(cell.args) != 6 or cell.kwargs or not _is_common(cell):
            return False
        given, state, *weights = map(values_in, cell.args)
        fixed = [one[0] not in self._inside for one in (given, state)]
        same_weights = not self._inside.intersection(value for one in weights for value in one)
        return same_weights and any(fixed) and not all(fixed) and _products(cell, fixed.index(True)) >= self._worth


def _products(cell: Call, place: int) -> float:
    """How many products the map of the input, or of the state, is of."""
    mapped, weight = (values_in(cell.args[at])[0].type for at in (place, place + 2))
    assert isinstance(mapped, TensorType) and isinstance(weight, TensorType)
    return math.prod(math.inf if size is None else size for size in (mapped.shape[0], *weight.shape))


def _is_common(cell: Call) -> bool:
    """Whether a cell has a batch and biases, and no gradient goes through it."""
    types = [kind for value in (*cell.operands, *cell.results) if isinstance(kind := value.type, TensorType)]
    if len(types) < len(cell.operands) + len(cell.results) or not {len(kind.shape) for kind in types} <= {1, 2}:
        return False
    return all(map(values_in, cell.args)) and not has_gradients(cell)


@dataclass
class _Parts:
    """The calls that stand for a cell."""

    cell: Call
    number: int
    calls: list[Call] = field(default_factory=list)

    def of_state(self, target: Callable[..., Any], *args: Value, result: Value | None = None) -> Value:
        """A call that gives a tensor like the cell's state, which may be a result of the cell."""
        return self._emit(target, args, (result or self._fresh(self.cell.results[0].type),))[0]

    def gates(self, given: Value, weight: Value, bias: Value, number: int) -> tuple[Value, ...]:
        """A linear map of the input or of the state, and its parts, one for each of that many gates."""
        rows, columns = (value.type for value in (given, weight))
        assert isinstance(rows, TensorType) and isinstance(columns, TensorType)
        mapped = self._fresh(replace(rows, shape=(rows.shape[0], columns.shape[0]), requires_grad=False))
        self._emit(F.linear, (given, weight, bias), (mapped,))
        if number == 1:
            return (mapped,)
        parts = tuple(self._fresh(self.cell.results[0].type) for _ in range(number))
        return self._emit(torch.chunk, (mapped, number, 1), parts, Effects(aliases=(mapped,)))

    def _fresh(self, kind: ValueType) -> Value:
        self.number += 1
        return Value(self.number - 1, kind)

    def _emit(
        self, target: Callable[..., Any], args: tuple[Tree, ...], results: tuple[Value, ...], effects: Effects = PURE
    ) -> tuple[Value, ...]:
        result = results if target is torch.chunk else results[0]
        self.calls.append(Call(target, args, {}, result, effects, self.cell.modes, self.cell.location))
        return results


def _gru(parts: _Parts, x: Value, h: Value, w_x: Value, w_h: Value, b_x: Value, b_h: Value) -> None:
    of = parts.of_state
    reset_x, update_x, new_x = parts.gates(x, w_x, b_x, 3)
    reset_h, update_h, new_h = parts.gates(h, w_h, b_h, 3)
    reset = of(torch.sigmoid, of(torch.add, reset_h, reset_x))
    update = of(torch.sigmoid, of(torch.add, update_h, update_x))
    new = of(torch.tanh, of(torch.add, new_x, of(torch.mul, new_h, reset)))
    of(torch.add, of(torch.mul, of(torch.sub, h, new), update), new, result=parts.cell.result)


def _lstm(parts: _Parts, x: Value, state: Sequence[Value], w_x: Value, w_h: Value, b_x: Value, b_h: Value) -> None:
    of = parts.of_state
    (hidden, cell), (hidden_result, cell_result) = state, parts.cell.result
    pairs = zip(parts.gates(x, w_x, b_x, 4), parts.gates(hidden, w_h, b_h, 4), strict=True)
    take, forget, new, give = (of(torch.add, *pair) for pair in pairs)
    kept = of(torch.mul, of(torch.sigmoid, forget), cell)
    added = of(torch.mul, of(torch.sigmoid, take), of(torch.tanh, new))
    cell = of(torch.add, kept, added, result=cell_result)
    of(torch.mul, of(torch.sigmoid, give), of(torch.tanh, cell), result=hidden_result)


def _simple(activation: Callable[..., Any]) -> Callable[..., None]:
    def split(parts: _Parts, x: Value, h: Value, w_x: Value, w_h: Value, b_x: Value, b_h: Value) -> None:
        (given,), (state,) = parts.gates(x, w_x, b_x, 1), parts.gates(h, w_h, b_h, 1)
        parts.of_state(activation, parts.of_state(torch.add, given, state), result=parts.cell.result)

    return split


_CELLS: dict[Callable[..., Any], Callable[..., None]] = {
    torch.gru_cell: _gru,
    torch.lstm_cell: _lstm,
    torch.rnn_tanh_cell: _simple(torch.tanh),
    torch.rnn_relu_cell: _simple(torch.relu),
}

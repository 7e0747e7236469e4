"""Splits calls in loops of which no trip changes a half, so that this half can be moved out of the loop.

A recurrent cell applies one linear map to its input and one to its state, and then gates. The calls that stand for it
here are those that torch's own cells make, in the same order, so that they round the same. A linear map of two
tensors side by side is the sum of two maps, which rounds otherwise.
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
from d2s.runtime.passes.memory import Memory

_JOINS = (torch.cat, torch.concat, torch.concatenate)
# How many products a map has to be of, to be worth the calls of the gates one by one where each costs microseconds.
WORTH_CALLS = 500_000


def with_split_cells(program: Program, worth: int = 0) -> Program:
    """The program with linear maps and gates in place of a cell in a loop, of which one map is the same in all trips.

    The map is of at least `worth` products. What gradients go through is left as it is, for the map would stay where
    it is.
    """
    return _Split(fresh_number(program), worth).program(program)


def with_split_maps(program: Program) -> Program:
    """The program with two linear maps, and their sum, in place of one of two tensors of which all trips have one.

    What gradients go through is left as it is.
    """
    return _SplitMaps(fresh_number(program), Memory(program)).program(program)


class _Splitting(Rewriter):
    """Puts calls in the place of one, where it stands in a loop."""

    def __init__(self, number: int):
        self._number = number
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
        if self._inside is None or not isinstance(op, Call) or not self._can_be_split(op):
            return [op]
        parts = _Parts(op, self._number)
        self._split(parts)
        self._number = parts.number
        return parts.calls

    def _is_fixed(self, part: Tree) -> bool:
        """Whether no trip of the innermost loop changes what is passed to a call."""
        assert self._inside is not None
        return not self._inside.intersection(values_in(part))

    def _can_be_split(self, call: Call) -> bool:
        raise NotImplementedError

    def _split(self, parts: _Parts) -> None:
        raise NotImplementedError


class _Split(_Splitting):
    """Recurrent cells."""

    def __init__(self, number: int, worth: int):
        super().__init__(number)
        self._worth = worth

    def _split(self, parts: _Parts) -> None:
        _CELLS[parts.call.target](parts, *parts.call.args)

    def _can_be_split(self, cell: Call) -> bool:
        """Whether one of the two maps can move, and the cell is of the common form."""
        if cell.target not in _CELLS or len(cell.args) != 6 or cell.kwargs or not _is_common(cell):
            return False
        given, state, *weights = cell.args
        fixed = [self._is_fixed(values_in(one)[0]) for one in (given, state)]
        if not self._is_fixed(weights) or fixed[0] == fixed[1]:
            return False
        return _products(cell, fixed.index(True)) >= self._worth


class _SplitMaps(_Splitting):
    """Linear maps of two tensors that `torch.cat` puts side by side."""

    def __init__(self, number: int, memory: Memory):
        super().__init__(number)
        self._memory = memory
        self._joined: dict[Value, list[tuple[Value, int]]] = {}

    def block(self, block: Block) -> Block:
        for op in block.ops:
            if isinstance(op, Call) and op.target in _JOINS and (sides := _sides(op)):
                self._joined[op.results[0]] = sides
        return super().block(block)

    def _can_be_split(self, call: Call) -> bool:
        if call.target is not F.linear or call.kwargs or not isinstance(call.results[0].type, TensorType):
            return False
        joined, *weights = call.args
        if joined not in self._joined or not isinstance(weights[0], Value) or has_gradients(call):
            return False
        (one, _), (other, _) = self._joined[joined]
        if any(map(self._memory.is_written, (joined, one, other))):
            return False
        return self._is_fixed(weights) and self._is_fixed(one) != self._is_fixed(other)

    def _split(self, parts: _Parts) -> None:
        joined, weight, *bias = parts.call.args
        start, maps = 0, []
        for given, width in self._joined[joined]:
            columns = parts.columns(weight, start, width)
            maps.append(parts.mapped(given, columns, bias if self._is_fixed(given) else ()))
            start += width
        parts.like_result(torch.add, *maps, result=parts.call.results[0])


def _sides(call: Call) -> list[tuple[Value, int]]:
    """The two tensors that a call puts side by side, with their numbers of columns; empty if it does otherwise."""
    tensors, dim = (*call.args, call.kwargs.get("dim", 0))[:2]
    joined = call.results[0].type
    if not isinstance(tensors, Sequence) or not isinstance(joined, TensorType):
        return []
    sides = [(one, width) for one in tensors if isinstance(one, Value) and (width := _width(one.type, joined))]
    return sides if len(sides) == len(tensors) == 2 and dim in (-1, len(joined.shape) - 1) else []


def _width(part: ValueType | None, joined: TensorType) -> int:
    """How many columns a tensor is that is joined to others; 0 if that is not known, or its type changes."""
    if not isinstance(part, TensorType) or len(part.shape) != len(joined.shape) or part.dtype != joined.dtype:
        return 0
    return part.shape[-1] or 0


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
    """The calls that stand for one."""

    call: Call
    number: int
    calls: list[Call] = field(default_factory=list)

    def like_result(self, target: Callable[..., Any], *args: Value, result: Value | None = None) -> Value:
        """A call that gives a tensor like the first result of the one, which this may be."""
        return self._emit(target, args, (result or self._fresh(self.call.results[0].type),))[0]

    def mapped(self, given: Value, weight: Value, bias: Sequence[Tree]) -> Value:
        """A linear map of a tensor."""
        rows, columns = (value.type for value in (given, weight))
        assert isinstance(rows, TensorType) and isinstance(columns, TensorType)
        made = self._fresh(replace(rows, shape=(*rows.shape[:-1], columns.shape[0]), requires_grad=False))
        return self._emit(F.linear, (given, weight, *bias), (made,))[0]

    def gates(self, given: Value, weight: Value, bias: Value, number: int) -> tuple[Value, ...]:
        """A linear map of the input or of the state, and its parts, one for each of that many gates."""
        mapped = self.mapped(given, weight, (bias,))
        if number == 1:
            return (mapped,)
        parts = tuple(self._fresh(self.call.results[0].type) for _ in range(number))
        return self._emit(torch.chunk, (mapped, number, 1), parts, Effects(aliases=(mapped,)))

    def columns(self, weight: Value, start: int, width: int) -> Value:
        """A copy of some of a matrix: a view would have to stay in the loop."""
        assert isinstance(weight.type, TensorType)
        made = self._fresh(replace(weight.type, shape=(weight.type.shape[0], width), requires_grad=False))
        return self._emit(torch.narrow_copy, (weight, 1, start, width), (made,))[0]

    def _fresh(self, kind: ValueType) -> Value:
        self.number += 1
        return Value(self.number - 1, kind)

    def _emit(
        self, target: Callable[..., Any], args: tuple[Tree, ...], results: tuple[Value, ...], effects: Effects = PURE
    ) -> tuple[Value, ...]:
        result = results if target is torch.chunk else results[0]
        self.calls.append(Call(target, args, {}, result, effects, self.call.modes, self.call.location))
        return results


def _gru(parts: _Parts, x: Value, h: Value, w_x: Value, w_h: Value, b_x: Value, b_h: Value) -> None:
    of = parts.like_result
    reset_x, update_x, new_x = parts.gates(x, w_x, b_x, 3)
    reset_h, update_h, new_h = parts.gates(h, w_h, b_h, 3)
    reset = of(torch.sigmoid, of(torch.add, reset_h, reset_x))
    update = of(torch.sigmoid, of(torch.add, update_h, update_x))
    new = of(torch.tanh, of(torch.add, new_x, of(torch.mul, new_h, reset)))
    of(torch.add, of(torch.mul, of(torch.sub, h, new), update), new, result=parts.call.result)


def _lstm(parts: _Parts, x: Value, state: Sequence[Value], w_x: Value, w_h: Value, b_x: Value, b_h: Value) -> None:
    of = parts.like_result
    (hidden, cell), (hidden_result, cell_result) = state, parts.call.result
    pairs = zip(parts.gates(x, w_x, b_x, 4), parts.gates(hidden, w_h, b_h, 4), strict=True)
    take, forget, new, give = (of(torch.add, *pair) for pair in pairs)
    kept = of(torch.mul, of(torch.sigmoid, forget), cell)
    added = of(torch.mul, of(torch.sigmoid, take), of(torch.tanh, new))
    cell = of(torch.add, kept, added, result=cell_result)
    of(torch.mul, of(torch.sigmoid, give), of(torch.tanh, cell), result=hidden_result)


def _simple(activation: Callable[..., Any]) -> Callable[..., None]:
    def split(parts: _Parts, x: Value, h: Value, w_x: Value, w_h: Value, b_x: Value, b_h: Value) -> None:
        (given,), (state,) = parts.gates(x, w_x, b_x, 1), parts.gates(h, w_h, b_h, 1)
        parts.like_result(activation, parts.like_result(torch.add, given, state), result=parts.call.result)

    return split


_CELLS: dict[Callable[..., Any], Callable[..., None]] = {
    torch.gru_cell: _gru,
    torch.lstm_cell: _lstm,
    torch.rnn_tanh_cell: _simple(torch.tanh),
    torch.rnn_relu_cell: _simple(torch.relu),
}

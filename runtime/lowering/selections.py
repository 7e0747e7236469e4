"""Makes copies of the views at an index that is known only when the program runs, and keeps them up to date.

t5 = select_at(t3, 0, t4)             ->    t5 = torch.index_select(t3, 0, t4.reshape(1)).select(0, 0)
torch.Tensor.add_(t5, 1)                    torch.Tensor.add_(t5, 1)
                                            torch.Tensor.index_copy_(t3, 0, t4.reshape(1), t5.unsqueeze(0))

After a write to the base, or to another view of it, the copies that are used later are made anew.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from d2s.runtime.ir.program import Call, Effects, Op, Program, TensorType, Value
from d2s.runtime.lowering.builder import Expander
from d2s.runtime.lowering.indexing import select_at
from d2s.runtime.lowering.order import Order
from d2s.runtime.lowering.origins import Origins


def with_selections(program: Program) -> Program:
    """The program, in which no branch or loop writes to memory from outside, without `select_at`."""
    return _Selections(program).program(program)


@dataclass(frozen=True, eq=False)
class _Copy:
    """A copy of what is at an index of a base along a dimension; `row` is the index as a tensor of shape [1]."""

    value: Value
    base: Value
    dimension: int
    row: Value


class _Selections(Expander):
    """`_copies` are those of the block that the pass is in, and of the blocks around it."""

    def __init__(self, program: Program):
        super().__init__(program)
        self._origins = Origins(program)
        self._order = Order(program)
        self._copies: dict[Value, _Copy] = {}

    def expand(self, op: Op) -> Op | None:
        if not isinstance(op, Call):
            outside = dict(self._copies)
            self.add(self.op(op))
            self._copies = outside
        elif op.target is select_at:
            self._select(op)
        else:
            self.add(self.op(op))
            for written in op.effects.writes:
                self._share(written, self._order.places[op])
        return None

    def _select(self, op: Call) -> None:
        tensor, dimension, index = op.args
        (value,) = op.results
        row = self.call(torch.Tensor.reshape, index, (1,), to=TensorType(torch.int64, (1,)))
        copy = _Copy(value, tensor, dimension, row)
        self._copies[value] = copy
        made = self._rows(copy)
        aliases = Effects(aliases=(made,))
        self.add(Call(torch.Tensor.select, (made, dimension, 0), {}, value, aliases, op.modes, op.location))

    def _rows(self, copy: _Copy) -> Value:
        """What is at the index of a copy, which keeps the dimension."""
        kind = copy.base.type
        assert isinstance(kind, TensorType)
        shape = (*kind.shape[: copy.dimension], 1, *kind.shape[copy.dimension + 1 :])
        return self.call(torch.index_select, copy.base, copy.dimension, copy.row, to=replace(kind, shape=shape))

    def _share(self, written: Value, place: int) -> None:
        """Have a write be seen in the bases of what is written, and in the other copies of them."""
        above = self._above(written)
        for copy in above:
            self._write_back(copy)
        root = self._origins.root(written)
        for copy in self._copies.values():
            if copy not in above and self._origins.root(copy.value) == root and self._is_needed(copy, place):
                rows = self._rows(copy)
                now = self.view(torch.Tensor.select, rows, copy.dimension, 0, to=copy.value.type)
                self.write(torch.Tensor.copy_, copy.value, now)

    def _write_back(self, copy: _Copy) -> None:
        kind = copy.base.type
        assert isinstance(kind, TensorType)
        rows = self.view(torch.Tensor.unsqueeze, copy.value, copy.dimension, to=kind)
        self.write(torch.Tensor.index_copy_, copy.base, copy.dimension, copy.row, rows)

    def _above(self, value: Value) -> list[_Copy]:
        """The copies that a value is in or is a view of, the innermost first."""
        path = reversed(self._origins.path(value))
        return [self._copies[result] for call in path for result in call.results if result in self._copies]

    def _is_needed(self, copy: _Copy, place: int) -> bool:
        """Whether a copy, or a view of it, is used after a place."""
        views = [one for one in self._origins.sharing(copy.value) if copy in self._above(one)]
        return any(self._order.is_used_after(one, place) for one in views)

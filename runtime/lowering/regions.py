"""Keeps writes inside branches and loops: each gets a copy of the memory it writes, and gives back what it is then.

if t2:                                ->    t7 = if t2:
    torch.Tensor.add_(t1, 1)                    t5 = torch.clone(t1)
                                                torch.Tensor.add_(t5, 1)
                                                yield t5
                                            else: ...
                                            torch.Tensor.copy_(t1, t7)

Memory is told apart by where it comes from, not by names: views made outside are made again of the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from d2s.runtime.ir.liveness import free_values, op_uses
from d2s.runtime.ir.program import (
    Block,
    Call,
    Condition,
    Continue,
    Effects,
    If,
    Op,
    Program,
    Return,
    Terminator,
    Value,
    While,
    Yield,
    walk_ops,
)
from d2s.runtime.ir.values import defined_in
from d2s.runtime.lowering.aliasing import check_writes
from d2s.runtime.lowering.builder import Expander
from d2s.runtime.lowering.origins import Origins
from d2s.runtime.lowering.refusing import LoweringError


def with_writes_inside(program: Program) -> tuple[Program, list[int]]:
    """The program in which nothing writes to memory from outside, and which of the inputs it wrote to.

    It returns more values: what each of those inputs is in the end.

    Raises:
        LoweringError: it is not clear, before the program runs, which memory a branch or a loop writes to.
    """
    pass_ = _Regions(program)
    return pass_.program(program), pass_.written


@dataclass(frozen=True)
class _Written:
    """Memory from outside that an op writes: the value that is copied, and the views of it to make anew."""

    base: Value
    views: list[Call]


class _Regions(Expander):
    def __init__(self, program: Program):
        super().__init__(program)
        self._origins = Origins(program)
        check_writes(program, self._origins)
        self.written: list[int] = []

    def expand(self, op: Op) -> Op | None:
        if isinstance(op, Call):
            return self.op(op)
        written = self._written(op)
        if not written:
            return self.op(op)
        results = self._branch(op, written) if isinstance(op, If) else self._loop(op, written)
        self._modes, self._location = op.modes, op.location
        for one, result in zip(written, results, strict=True):
            target = self.value(one.base)
            self.write(torch.Tensor.copy_, target, result)
        return None

    def program(self, program: Program) -> Program:
        roots = self._origins.written(program.body)
        self.written = [number for number, entry in enumerate(program.inputs) if entry.value in roots]
        written = [_Written(program.inputs[number].value, []) for number in self.written]

        def end(old: Return, copies: list[Value]) -> Return:
            return Return((*old.value, *copies), old.writes)

        return replace(program, body=self._side(program.body, written, end))

    def _written(self, op: If | While) -> list[_Written]:
        """The memory from outside that an op writes."""
        inside = defined_in(op)
        return [self._one(op, root) for root in self._origins.written(*op.blocks) if root not in inside]

    def _one(self, op: If | While, root: Value) -> _Written:
        used = [value for value in op_uses(op) if self._origins.root(value) == root]
        if isinstance(op, While):
            self._check_test(op, root)
        if len(used) == 1:
            return _Written(used[0], [])
        return _Written(root, list(dict.fromkeys(call for value in used for call in self._origins.path(value))))

    def _check_test(self, op: While, root: Value) -> None:
        """A test writes nothing, and gives the body no view of memory that the body writes."""
        inside = [one for one in walk_ops(op.test) if isinstance(one, Call)]
        for call in inside:
            if any(self._origins.root(value) == root for value in call.effects.writes):
                raise LoweringError("a write in the test of a loop can't be lowered", call.location)
        views = {value for call in inside for value in call.results if self._origins.root(value) == root}
        if views.intersection(free_values(op.body)):
            raise LoweringError("a view from the test of a loop that writes can't be lowered", op.location)

    # -------------------------------------------------------------- the op

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """What values stand for in a block ends with it."""
        outside = dict(self._instead)
        yield
        self._instead = outside

    def _enter(self, written: list[_Written], memory: list[Value]) -> None:
        """Have other memory be what is written from here on."""
        for one, copy in zip(written, memory, strict=True):
            self.replace(one.base, copy)
            for call in one.views:
                args, kwargs = self.tree(call.args), self.tree(call.kwargs)
                for result in call.results:
                    self.replace(result, self.new(result.type))
                result, aliases = self.tree(call.result), tuple(map(self.value, call.effects.aliases))
                self.add(replace(call, args=args, kwargs=kwargs, result=result, effects=Effects(aliases=aliases)))

    def _copies(self, values: list[Value]) -> list[Value]:
        return [self.call(torch.clone, value, to=value.type) for value in values]

    def _side(self, block: Block, written: list[_Written], end: Callable[[Any, list[Value]], Terminator]) -> Block:
        """A block that writes copies; `end` makes its end of the end that it had and of the copies."""
        copies: list[Value] = []

        def begin() -> None:
            copies.extend(self._copies([self.value(one.base) for one in written]))
            self._enter(written, copies)

        with self._inside():
            return self.block(block, lambda old: end(self.terminator(old), copies), begin)

    def _branch(self, op: If, written: list[_Written]) -> list[Value]:
        sides = [self._side(side, written, lambda old, new: Yield([*old.values, *new])) for side in op.blocks]
        results = [self.new(one.base.type) for one in written]
        condition = self.value(op.condition)
        self.add(replace(op, condition=condition, then=sides[0], orelse=sides[1], results=[*op.results, *results]))
        return results

    def _loop(self, op: While, written: list[_Written]) -> list[Value]:
        inits = [*self.tree(op.inits), *(self.value(one.base) for one in written)]
        params = [self.new(one.base.type) for one in written]
        results = [self.new(one.base.type) for one in written]

        def exits(old: Condition) -> Condition:
            made = self.terminator(old)
            assert isinstance(made, Condition)
            return Condition(made.go_on, [*made.exits, *params])

        with self._inside():
            test = self.block(op.test, exits, lambda: self._enter(written, params))
        with self._inside():
            for one, param in zip(written, params, strict=True):
                self.replace(one.base, param)
            body = self._side(op.body, written, lambda old, new: Continue([*old.values, *new]))
        params, results_ = [*op.params, *params], [*op.results, *results]
        self.add(replace(op, params=params, inits=inits, test=test, body=body, results=results_))
        return results

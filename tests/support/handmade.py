"""Programs built by hand, each with the Python function that it stands for and inputs to compare them on."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    Effects,
    If,
    Input,
    Program,
    PythonType,
    Raise,
    Return,
    TensorType,
    Value,
    While,
    Yield,
)
from d2s.runtime.ir.sources import Argument

VECTOR = TensorType(torch.float32, (2,))
SCALAR = TensorType(torch.float32, ())
FLAG = TensorType(torch.bool, ())
INT = PythonType(int)
BOOL = PythonType(bool)
ERROR = PythonType(ValueError)


@dataclass
class Handmade:
    """A program, its meaning, and inputs that take different ways through it."""

    program: Program
    function: Callable[..., Any]
    inputs: list[tuple[Any, ...]]


def program(name: str, body: Block, *values: Value) -> Program:
    return Program(name, [Input(value, Argument(f"arg{value.number}")) for value in values], body)


def clamped() -> Handmade:
    """An if whose sides yield a value and a constant."""
    x, limit, norm, large, factor, y, scaled, kind = (
        Value(0, VECTOR),
        Value(1, SCALAR),
        Value(2, SCALAR),
        Value(3, FLAG),
        Value(4, SCALAR),
        Value(5, VECTOR),
        Value(6, VECTOR),
        Value(7, PythonType(str)),
    )
    then = Block([Call(torch.div, (limit, norm), {}, factor), Call(torch.mul, (x, factor), {}, y)])
    then.terminator = Yield([y, "large"])
    body = Block(
        [
            Call(torch.norm, (x,), {}, norm),
            Call(torch.gt, (norm, limit), {}, large),
            If(large, then, Block([], Yield([x, "small"])), [scaled, kind]),
        ],
        Return((scaled, {"kind": kind})),
    )

    def meaning(x: torch.Tensor, limit: torch.Tensor) -> Any:
        norm = torch.norm(x)
        return (x * (limit / norm), {"kind": "large"}) if norm > limit else (x, {"kind": "small"})

    return Handmade(
        program("clamped", body, x, limit),
        meaning,
        [(torch.tensor([3.0, 4.0]), torch.tensor(1.0)), (torch.tensor([0.3, 0.4]), torch.tensor(1.0))],
    )


def collatz() -> Handmade:
    """A while that holds an if; its carries are exchanged for a test of parallel assignment."""
    start = Value(0, INT)
    n, steps, last = Value(1, INT), Value(2, INT), Value(3, INT)
    go_on, parity, odd = Value(4, BOOL), Value(5, INT), Value(6, BOOL)
    tripled, up, half = Value(7, INT), Value(8, INT), Value(9, INT)
    after, more = Value(10, INT), Value(11, INT)
    steps_out, last_out = Value(12, INT), Value(13, INT)
    then = Block([Call(operator.mul, (n, 3), {}, tripled), Call(operator.add, (tripled, 1), {}, up)], Yield([up]))
    orelse = Block([Call(operator.floordiv, (n, 2), {}, half)], Yield([half]))
    loop = While(
        [n, steps, last],
        [start, 0, -1],
        Block([Call(operator.ne, (n, 1), {}, go_on)], Condition(go_on, [steps, last])),
        Block(
            [
                Call(operator.mod, (n, 2), {}, parity),
                Call(operator.eq, (parity, 1), {}, odd),
                If(odd, then, orelse, [after]),
                Call(operator.add, (steps, 1), {}, more),
            ],
            Continue([after, more, n]),
        ),
        [steps_out, last_out],
    )

    def meaning(n: int) -> Any:
        steps, last = 0, -1
        while n != 1:
            n, steps, last = (n * 3 + 1 if n % 2 == 1 else n // 2), steps + 1, n
        return [steps, last]

    return Handmade(
        program("collatz", Block([loop], Return([steps_out, last_out])), start), meaning, [(6,), (1,), (7,)]
    )


def nested_loops() -> Handmade:
    """A while in a while over a tensor that the inner one writes in place."""
    x, count = Value(0, VECTOR), Value(1, INT)
    i, j, go_i, go_j = Value(2, INT), Value(3, INT), Value(4, BOOL), Value(5, BOOL)
    next_i, next_j, j_out, i_out, y = (
        Value(6, INT),
        Value(7, INT),
        Value(8, INT),
        Value(9, INT),
        Value(10, VECTOR),
    )
    inner = While(
        [j],
        [0],
        Block([Call(operator.lt, (j, i), {}, go_j)], Condition(go_j, [j])),
        Block(
            [
                Call(torch.Tensor.add_, (y, 1.0), {}, None, Effects(writes=(y,))),
                Call(operator.add, (j, 1), {}, next_j),
            ],
            Continue([next_j]),
        ),
        [j_out],
    )
    outer = While(
        [i],
        [0],
        Block([Call(operator.lt, (i, count), {}, go_i)], Condition(go_i, [i])),
        Block([inner, Call(operator.add, (i, 1), {}, next_i)], Continue([next_i])),
        [i_out],
    )
    body = Block([Call(torch.clone, (x,), {}, y), outer], Return((y, i_out)))

    def meaning(x: torch.Tensor, count: int) -> Any:
        y = x.clone()
        for i in range(count):
            for _ in range(i):
                y.add_(1.0)
        return y, count

    return Handmade(
        program("nested_loops", body, x, count),
        meaning,
        [(torch.zeros(2), 0), (torch.zeros(2), 1), (torch.ones(2), 4)],
    )


def forked() -> Handmade:
    """A fork at the root whose sides differ in kind, inside a loop's body one that raises."""
    x, limit = Value(0, VECTOR), Value(1, INT)
    flag, i, go_on, big, error, y = (
        Value(2, FLAG),
        Value(3, INT),
        Value(4, BOOL),
        Value(5, BOOL),
        Value(6, ERROR),
        Value(7, INT),
    )
    total, out = Value(8, SCALAR), Value(9, INT)
    loop = While(
        [i],
        [0],
        Block([Call(operator.lt, (i, limit), {}, go_on)], Condition(go_on, [i])),
        Block(
            [Call(operator.gt, (i, 2), {}, big)],
            Branch(
                big,
                Block([Call(ValueError, ("too big",), {}, error)], Raise(error)),
                Block([Call(operator.add, (i, 1), {}, y)], Continue([y])),
            ),
        ),
        [out],
    )
    body = Block(
        [Call(torch.sum, (x,), {}, total), Call(torch.gt, (total, 0), {}, flag)],
        Branch(flag, Block([loop], Return([x, out])), Block([], Return(None))),
    )

    def meaning(x: torch.Tensor, limit: int) -> Any:
        if torch.sum(x) > 0:
            for i in range(limit):
                if i > 2:
                    raise ValueError("too big")
            return [x, limit]
        return None

    ones = torch.ones(2)
    return Handmade(program("forked", body, x, limit), meaning, [(ones, 2), (ones, 5), (-ones, 5)])


ALL = [clamped, collatz, nested_loops, forked]

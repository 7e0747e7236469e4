"""What the torch backend prints, frees and keeps."""

from __future__ import annotations

import math
import traceback
import weakref
from typing import Any

import pytest
import torch
from handmade import BOOL, ERROR, INT, VECTOR, program

from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.errors import Location, RaisedAfterWrites
from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.program import Block, Branch, Call, Raise, Return, Value, Write, WriteKind
from d2s.runtime.ir.sources import Argument


def straight_line(*ops: Call, answer: Any) -> Any:
    return compile_program(program("straight", Block(list(ops), Return(answer)), Value(0, VECTOR)))


def test_a_temporary_is_freed_at_its_last_use() -> None:
    alive: list[bool] = []
    seen: list[Any] = []

    def watch(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(weakref.ref(tensor))
        return tensor * 2

    def look(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(seen[0]() is not None)
        return tensor

    t0, t1, t2, t3 = (Value(number, VECTOR) for number in range(4))
    compiled = straight_line(
        Call(torch.neg, (t0,), {}, t1), Call(watch, (t1,), {}, t2), Call(look, (t2,), {}, t3), answer=t3
    )
    compiled.run(torch.ones(2))
    assert alive == [False]


def test_calls_keep_their_grad_mode() -> None:
    t0, t1, t2 = (Value(number, VECTOR) for number in range(3))
    compiled = straight_line(
        Call(torch.neg, (t0,), {}, t1, modes=Modes(grad=False)), Call(torch.exp, (t0,), {}, t2), answer=(t1, t2)
    )
    (without, with_grad), _, _ = compiled.run(torch.ones(2, requires_grad=True))
    assert (without.requires_grad, with_grad.requires_grad) == (False, True)


def test_constants_come_back_as_they_were() -> None:
    special = object()
    constants = [
        math.inf,
        -math.inf,
        -0.5,
        True,
        "a'b",
        None,
        ...,
        torch.float16,
        torch.device("cpu"),
        special,
    ]
    answer = (*constants, slice(1, None, 2), {"k": [1, (2,)]}, ())
    result = straight_line(answer=answer).run(torch.ones(2))[0]
    assert result == answer
    assert result[9] is special
    assert math.isnan(straight_line(answer=math.nan).run(torch.ones(2))[0])


def test_two_hundred_forks_in_a_row_compile() -> None:
    flag = Value(0, BOOL)
    block = Block([], Return(-1))
    for number in range(200):
        block = Block([], Branch(flag, Block([], Return(number)), block))
    run = compile_program(program("deep", block, flag)).run
    assert run(True)[0] == 199
    assert run(False)[0] == -1


def test_what_was_written_before_a_raise_is_handed_over() -> None:
    n, error = Value(0, INT), Value(1, ERROR)
    write = Write(WriteKind.BIND, Argument("x"), n)
    body = Block([Call(ValueError, ("no",), {}, error)], Raise(error, [write]))
    with pytest.raises(RaisedAfterWrites) as caught:
        compile_program(program("raises", body, n)).run(7)
    assert str(caught.value.exception) == "no"
    assert (list(caught.value.writes), caught.value.values) == ([write], (7,))


def test_tracebacks_show_the_generated_line_and_know_the_users() -> None:
    t0, t1 = Value(0, VECTOR), Value(1, VECTOR)
    place = Location("user.py", 12)
    compiled = straight_line(Call(torch.reshape, (t0, (3,)), {}, t1, location=place), answer=t1)
    with pytest.raises(RuntimeError) as caught:
        compiled.run(torch.ones(2))
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert frame.line == "t1 = torch.reshape(t0, (3,))"
    assert frame.lineno is not None
    assert compiled.lines[frame.lineno] == place

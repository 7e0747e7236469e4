"""Programs print, verify, and mean what they say under the reference executor."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from compare import outcome, same
from handmade import ALL, VECTOR, Handmade, clamped, collatz, forked

from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.errors import VerificationError
from d2s.runtime.ir.liveness import free_values
from d2s.runtime.ir.program import Block, Call, Return, Value, While, Yield
from d2s.runtime.ir.reference import run_program
from d2s.runtime.passes.verify import verify

EXECUTORS: dict[str, Callable[..., Any]] = {
    "reference": run_program,
    "torch": lambda program, inputs: compile_program(program).run(*inputs),
}


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_executors_agree_with_python(executor: str, make: Callable[[], Handmade]) -> None:
    made = make()
    run = EXECUTORS[executor]
    verify(made.program)
    wants = []
    for inputs in made.inputs:
        want = outcome(made.function, *copy.deepcopy(inputs))
        got = outcome(lambda *given: run(made.program, given)[0], *copy.deepcopy(inputs))
        assert same(want, got), (want, got)
        wants.append(want)
    assert not all(same(wants[0], other) for other in wants[1:]), "the inputs take one way only"


def test_printed_program_shows_types_branches_and_results() -> None:
    assert str(clamped().program) == (
        "program clamped(\n"
        "    t0: float32[2] from arg0,  # argument\n"
        "    t1: float32[] from arg1,  # argument\n"
        "):\n"
        "    t2: float32[] = torch.norm(t0)\n"
        "    t3: bool[] = torch.gt(t2, t1)\n"
        "    t6: float32[2], n7: str = if t3:\n"
        "        t4: float32[] = torch.div(t1, t2)\n"
        "        t5: float32[2] = torch.mul(t0, t4)\n"
        "        yield t5, 'large'\n"
        "    else:\n"
        "        yield t0, 'small'\n"
        "    return (t6, {'kind': n7})"
    )


def test_printed_loop_shows_its_carried_values() -> None:
    text = str(collatz().program)
    assert "n12: int, n13: int = while\n        n1: int := n0\n        n2: int := 0\n" in text
    assert "        condition n4, n2, n3\n" in text
    assert "        continue n10, n11, n1\n" in text


def test_a_value_must_be_defined_before_its_use() -> None:
    made = clamped()
    made.program.body.ops.reverse()
    with pytest.raises(VerificationError, match="t3 is used where it is not defined"):
        verify(made.program)


def test_a_value_is_defined_once_on_a_path() -> None:
    made = clamped()
    made.program.body.ops.append(Call(torch.neg, (Value(0, VECTOR),), {}, Value(2, VECTOR)))
    with pytest.raises(VerificationError, match="t2 is defined twice"):
        verify(made.program)


def test_values_of_one_side_are_not_seen_outside() -> None:
    made = clamped()
    made.program.body.terminator = Return(Value(5, VECTOR))
    with pytest.raises(VerificationError, match="t5 is used where it is not defined"):
        verify(made.program)


def test_a_block_ends_as_its_place_demands() -> None:
    made = forked()
    made.program.body.terminator = Yield([])
    with pytest.raises(VerificationError, match="must end in Return or Raise ends in Yield"):
        verify(made.program)


def test_a_loop_continues_with_one_value_a_parameter() -> None:
    made = collatz()
    loop = made.program.body.ops[0]
    assert isinstance(loop, While)
    assert loop.body.terminator is not None
    loop.body.terminator.values.pop()  # type: ignore[union-attr]
    with pytest.raises(VerificationError, match="continue has 2 values where 3 are wanted"):
        verify(made.program)


def test_free_values_of_a_block() -> None:
    loop = collatz().program.body.ops[0]
    assert isinstance(loop, While)
    assert [str(value) for value in free_values(loop.body)] == ["n1", "n2"]
    assert [str(value) for value in free_values(Block([loop], Return(None)))] == ["n0"]

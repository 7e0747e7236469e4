"""Programs print, verify, and mean what they say under the reference executor."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from handmade import ALL, VECTOR, Handmade, clamped, collatz, forked

from d2s.runtime.errors import VerificationError
from d2s.runtime.passes.verify import free_values, verify
from d2s.runtime.program import Block, Call, Return, Value, While, Yield
from d2s.runtime.reference import run_program


def outcome(function: Callable[[], Any]) -> Any:
    """What a call returns or raises, in a form that compares."""
    try:
        return function()
    except Exception as error:
        return type(error), str(error)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, torch.Tensor):
        return isinstance(right, torch.Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return (
            type(right) is dict and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
        )
    if isinstance(left, tuple | list):
        return type(left) is type(right) and len(left) == len(right) and all(map(same, left, right))
    return type(left) is type(right) and left == right


@pytest.mark.parametrize("make", ALL)
def test_reference_executor_agrees_with_python(make: Callable[[], Handmade]) -> None:
    made = make()
    verify(made.program)
    seen = []
    for inputs in made.inputs:
        want = outcome(lambda: made.function(*copy.deepcopy(inputs)))  # noqa: B023
        got = outcome(lambda: run_program(made.program, copy.deepcopy(inputs))[0])  # noqa: B023
        assert same(want, got), (want, got)
        seen.append(want)
    assert not all(same(seen[0], other) for other in seen[1:]), "the inputs take one way only"


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

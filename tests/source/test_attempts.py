"""What a program does about exceptions is written as `try`, or as nothing where a call raises the same of itself."""

import pytest
import torch
import torch.nn.functional as F
from equality import equal_programs

import d2s


def looked_up(words, table):
    try:
        found = F.embedding(words, table)
    finally:
        factor = 2
    return found * factor


def with_a_default(x, i):
    try:
        y = 10 // int(i)
    except ZeroDivisionError as error:
        return x, str(error)
    return x * y, ""


def test_a_call_raises_of_itself():
    table = torch.arange(12.0).view(4, 3)
    program = d2s.to_static(looked_up).concrete_program(torch.tensor([1, 2]), table)
    assert "attempt(" in str(program.program) and "try:" not in d2s.to_source(program)
    made = d2s.to_dynamic(program)
    for words in ([0, 3], [2, 2]):
        torch.testing.assert_close(made(torch.tensor(words), table), looked_up(torch.tensor(words), table))
    for function in (made, looked_up):
        with pytest.raises(IndexError, match="index out of range"):
            function(torch.tensor([0, 9]), table)


def test_an_exception_that_is_caught():
    program = d2s.to_static(with_a_default).concrete_program(torch.ones(3), torch.tensor(1))
    assert "except ZeroDivisionError" in d2s.to_source(program)
    made = d2s.to_dynamic(program)
    x = torch.tensor([1.0, 2.0, 3.0])
    for i in (0, 2, -3):
        (got, said), (want, told) = made(x, torch.tensor(i)), with_a_default(x, torch.tensor(i))
        assert said == told
        torch.testing.assert_close(got, want)
    again = d2s.to_static(made).forward.concrete_program(x, torch.tensor(1))
    assert equal_programs(program, again)

"""What a program does about exceptions is written as `try`, or as nothing where a call raises the same of itself."""

import pytest
import torch

import d2s


def looked_up(x, i):
    try:
        return x[int(i)] * 2
    except ValueError:
        return x[0]


def with_a_default(x, i):
    try:
        y = 10 // int(i)
    except ZeroDivisionError as error:
        return x, str(error)
    return x * y, ""


def test_a_call_raises_of_itself():
    program = d2s.to_static(looked_up).concrete_program(torch.ones(3), torch.tensor(1))
    assert "try:" not in d2s.to_source(program)
    made = d2s.to_dynamic(program)
    x = torch.tensor([1.0, 2.0, 3.0])
    for i in (0, 2, -3):
        torch.testing.assert_close(made(x, torch.tensor(i)), looked_up(x, torch.tensor(i)))
    for function in (made, looked_up):
        with pytest.raises(IndexError, match="index 5 is out of bounds"):
            function(x, torch.tensor(5))


def test_an_exception_that_is_caught():
    program = d2s.to_static(with_a_default).concrete_program(torch.ones(3), torch.tensor(1))
    assert "except ZeroDivisionError" in d2s.to_source(program)
    made = d2s.to_dynamic(program)
    x = torch.tensor([1.0, 2.0, 3.0])
    for i in (0, 2, -3):
        torch.testing.assert_close(made(x, torch.tensor(i)), with_a_default(x, torch.tensor(i)))

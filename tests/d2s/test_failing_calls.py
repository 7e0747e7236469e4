"""Calls of torch's that raise: what was done before stays done, once, and the exception is eager's."""

import contextvars
from typing import Any

import pytest
import torch
from compare import same

import d2s

KEPT: dict[str, Any] = {"log": [], "total": torch.zeros(2)}


def of_other_sizes(x):
    KEPT["log"].append(1)
    KEPT["total"].add_(1)
    return x @ torch.ones(9)


def out_of_range(x):
    KEPT["total"].add_(1)
    KEPT["log"].append(2)
    return x[5]


def in_a_branch(x):
    KEPT["total"].add_(1)
    if x.sum() > 0:
        KEPT["log"].append(3)
        x.add_(torch.ones(7))
    return x


def in_a_handler(x):
    try:
        return KEPT["nothing"]
    except KeyError:
        KEPT["total"].add_(1)
        return x @ torch.ones(9)


def in_place(x):
    x.add_(1)
    return x


def _called(function, x):
    try:
        answer = function(x)
    except (RuntimeError, IndexError) as error:
        return type(error), str(error), repr(error.__context__), x
    return answer, x


@pytest.mark.parametrize("function", [of_other_sizes, out_of_range, in_a_branch, in_a_handler])
def test_what_was_done_stays_done_once(function):
    found = []
    for thing in (function, d2s.to_static(function, full_graph=True)):
        KEPT["log"].clear()
        KEPT["total"].zero_()
        answers = [_called(thing, torch.ones(2)) for _ in range(3)]
        found.append((answers, list(KEPT["log"]), KEPT["total"].clone()))
    assert same(found[0], found[1])
    assert found[0][2].tolist() == [3, 3]


def fits_or_not(x, y):
    KEPT["total"].add_(1)
    try:
        return x + y
    except RuntimeError:
        return KEPT["total"].clone()


def test_a_handler_around_a_call_of_open_sizes():
    found = []
    for thing in (fits_or_not, d2s.to_static(fits_or_not, full_graph=True)):
        KEPT["total"].zero_()
        found.append([thing(torch.ones(2), torch.ones(size)) for size in (2, 3, 1, 4, 2)])
    assert same(found[0], found[1])


def _inference():
    with torch.inference_mode():
        return torch.ones(2)


LEAF = torch.ones(2, requires_grad=True)
MADE = {
    "plain": lambda: torch.ones(2),
    "of inference": _inference,
    "view": lambda: LEAF.view(2),
    "sum": lambda: LEAF * 1,
}


@pytest.mark.parametrize("first", MADE)
def test_tensors_that_may_not_be_written(first):
    found = []
    for function in (in_place, d2s.to_static(in_place, full_graph=True)):
        found.append([_called(function, MADE[name]()) for name in (first, *MADE, first)])
    assert same(found[0], found[1])


def asks_for_what_is_not_set(x, variable):
    try:
        return x * variable.get()
    except LookupError:
        return x * variable.get(7.0)


def test_a_context_variable_that_is_not_set():
    found = []
    for thing in (asks_for_what_is_not_set, d2s.to_static(asks_for_what_is_not_set, full_graph=True)):
        variable: contextvars.ContextVar[float] = contextvars.ContextVar("variable")

        def calls(thing=thing, variable=variable):
            answers = [thing(torch.ones(2), variable), thing(torch.ones(2), variable)]
            variable.set(5.0)
            return [*answers, thing(torch.ones(2), variable)]

        found.append(contextvars.copy_context().run(calls))
    assert same(found[0], found[1])


def sets_what_it_has(x, variable):
    variable.set(4.0)
    return x * variable.get()


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_context_variable_that_is_set_to_what_it_holds():
    variable = contextvars.ContextVar("other", default=4.0)
    variable.set(4.0)
    static = d2s.to_static(sets_what_it_has)
    static(torch.ones(2), variable)
    variable.set(7.0)
    assert same(static(torch.ones(2), variable), torch.full((2,), 4.0))
    assert variable.get() == 4.0

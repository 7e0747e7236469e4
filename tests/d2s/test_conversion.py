"""A converted function does on plain Python values what the original does."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable
from typing import Any

import corpus_exits
import corpus_expressions
import gast
import pytest
import torch
from compare import outcome

from d2s.conversion import conversion_of, convert
from d2s.errors import SourceError
from d2s.transforms.scopes import LOOPS, walk_own

CASES = [
    pytest.param(function, inputs, id=function.__name__)
    for corpus in (corpus_exits, corpus_expressions)
    for function, inputs in corpus.CORPUS.cases
]


@pytest.mark.parametrize("function, inputs", CASES)
def test_converted_corpus(function: Any, inputs: list[tuple[Any, ...]]) -> None:
    converted = convert(function)
    assert converted.__code__ is not function.__code__
    for given in inputs:
        want = outcome(function, *copy.deepcopy(given))
        assert outcome(converted, *copy.deepcopy(given)) == want


def test_exits_are_gone() -> None:
    for function, _ in corpus_exits.CORPUS.cases:
        if function.__name__ in ("return_in_finally_swallows", "generator_is_left_alone"):
            continue
        tree = gast.parse(conversion_of(function).source)
        for node in gast.walk(tree):
            assert not isinstance(node, gast.Break | gast.Continue), function
            if isinstance(node, LOOPS):
                assert not node.orelse
            if isinstance(node, gast.FunctionDef):
                returns = [inner for inner in walk_own(node.body) if isinstance(inner, gast.Return)]
                assert returns in ([], node.body[-1:]), function


def failing(x):
    y = x
    if x:
        return 1 / y
    raise ValueError(x)


def test_tracebacks_point_at_the_users_lines() -> None:
    first = failing.__code__.co_firstlineno
    for given, line in (("a", 3), (0, 4)):
        with pytest.raises((TypeError, ValueError)) as caught:
            convert(failing)(given)
        frame = traceback.extract_tb(caught.value.__traceback__)[-1]
        assert (frame.filename, frame.lineno) == (__file__, first + line)


class Base:
    def scaled(self, x: int) -> int:
        return x


class Derived(Base):
    __factor = 3

    def scaled(self, x: int) -> int:
        if x < 0:
            return 0
        return super().scaled(x) * self.__factor

    def with_private(self, __x: int = 2) -> int:
        return __x


def test_methods_keep_their_class_and_private_names() -> None:
    assert convert(Derived.scaled)(Derived(), 2) == 6
    assert convert(Derived.with_private)(Derived(), 4) == 4


def test_defaults_closure_and_attributes_are_shared() -> None:
    total = 0

    def add(x: int, *more: int, scale: int = 2) -> int:
        nonlocal total
        for y in (x, *more):
            if y < 0:
                return total
            total += scale * y
        return total

    add.note = "kept"  # type: ignore[attr-defined]
    converted = convert(add)
    assert converted(1, 2) == 6
    assert total == 6
    assert converted(1, -5, scale=10) == 16
    assert converted.note == "kept"
    assert convert(converted) is converted


def test_lambdas_are_told_apart() -> None:
    first, second = (lambda x: x + 1), (lambda x: x * 2 if x else 7)
    assert (convert(first)(5), convert(second)(5), convert(second)(0)) == (6, 10, 7)
    outer = lambda x: lambda x: x * 3 if x > 1 else x
    assert (convert(outer)(5)(5), convert(outer(1))(5)) == (15, 15)
    assert convert(outer(1)).__code__.co_code != convert(outer).__code__.co_code
    several = lambda x: x - 1 if x else 0
    assert (convert(several)(5), convert(several)(0)) == (4, 0)


def test_a_function_without_source_says_so() -> None:
    namespace: dict[str, Callable[..., Any]] = {}
    exec("def made(x):\n    return x", namespace)
    with pytest.raises(SourceError, match="source of made can't be had"):
        convert(namespace["made"])


def test_a_function_with_an_unchanged_lambda_is_converted_again() -> None:
    def with_lambda(x):
        double = lambda v: v * 2
        return double(x) if x.sum() > 0 else x

    first, second = convert(with_lambda), convert(with_lambda)
    assert first.__code__ is second.__code__ is not with_lambda.__code__


class Private:
    __rate = 2.0

    def __init__(self) -> None:
        self.__value = 3.0

    def maker(self) -> Callable[..., Any]:
        def inner(x, __factor=1.0, *, __offset=0.5):
            if x.sum() > 0:
                self.__value = self.__value + 1
            return x * self.__value * __factor * Private.__rate + __offset

        return inner


@pytest.mark.parametrize("number", [1.0, -1.0])
def test_private_names_of_a_function_in_a_method(number) -> None:
    plain, other = Private(), Private()
    converted, names = convert(other.maker()), {"_Private__offset": 4.0}
    x = torch.full((2,), number)
    assert torch.equal(plain.maker()(x, **names), converted(x, **names))
    assert vars(plain) == vars(other)

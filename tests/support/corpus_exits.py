"""Plain functions that leave early in every way, each with inputs that take different ways."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from corpus import Corpus

CORPUS = Corpus()
on = CORPUS.on


@on(-1, 0, 1, 2, 9)
def chain_of_returns(x):
    if x < 0:
        return "negative"
    elif x == 0:
        return "zero"
    if x == 1:
        y = "one"
    else:
        if x == 2:
            return "two"
        y = "many"
    return y + "!"


@on(1, -1)
def missing_else(x):
    if x > 0:
        return x


@on(1, -1)
def bare_return(x):
    if x > 0:
        return
    x += 1
    return x


@on(1, -1)
def code_after_both_return(x):
    if x > 0:
        y = x + 10
        return y
        y = y - 3
    else:
        return x * 6
    return x - 1000


@on([], [1, 2], [1, 5, 7], [0, 3])
def return_from_nested_loops(xs):
    seen = []
    for x in xs:
        while x > 0:
            if x == 5:
                return "five", seen
            seen.append(x)
            x -= 2
        if x == 0:
            continue
        seen.append("odd")
    return seen


@on([], [1, 3], [1, 2, 3], [4])
def for_else(xs):
    trail = []
    for x in xs:
        if x % 2 == 0:
            trail.append("even")
            break
        trail.append(x)
    else:
        trail.append("none even")
    return trail


@on(0, 3, 7, 20)
def while_else_and_continue(n):
    total = 0
    while n > 0:
        n -= 1
        if n % 3 == 0:
            continue
        if n > 15:
            total = -1
            break
        total += n
    else:
        total += 100
    return total, n


@on(6, 3, 1, 0)
def break_through_finally(x):
    trail = []
    while x > 0:
        try:
            x -= 1
            if x < 2:
                break
            if x > 4:
                continue
            trail.append(x)
        finally:
            trail.append("finally")
    return x, trail


@on(0, 1, 2)
def return_in_try(x):
    trail = []

    def inner():
        try:
            if x == 0:
                return "returned"
            trail.append(1 / (x - 1))
        except ZeroDivisionError:
            return "caught"
        else:
            trail.append("else")
        finally:
            trail.append("finally")
        return "end"

    return inner(), trail


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with contextlib.suppress(ValueError):
        yield


@on(0, 1, 2)
def return_in_with_that_swallows(x):
    with quiet():
        if x == 0:
            return "early"
        if x == 1:
            raise ValueError
        return "late"
    return "swallowed"


@on(0, 1, 2, 3)
def return_in_finally_swallows(x):
    for _ in range(2):
        try:
            if x == 0:
                raise KeyError
            if x == 1:
                return "body"
        finally:
            if x < 3:
                return "finally"
    return "end"


@on([1, 2, 3, 4], [3, 1], [])
def iterator_keeps_what_break_left(xs):
    it = iter(xs)
    for x in it:
        if x == 2:
            break
    return list(it)


@on([3, 0, 2], [0], [])
def loop_else_with_inner_break(xs):
    trail = []
    for x in xs:
        for y in range(x):
            if y == 1:
                break
            trail.append((x, y))
        else:
            trail.append(("no break", x))
            if x == 0:
                break
    else:
        trail.append("all")
    return trail


@on(0, 1, 5)
def generator_is_left_alone(n):
    def count():
        for i in range(9):
            if i == n:
                return
            yield i

    return list(count())


@on(1, 2, 3)
def match_with_returns(x):
    match x:
        case 1:
            return "one"
        case 2:
            y = "two"
        case _:
            return "other"
    return y


@on(2, 5)
def flag_names_are_taken(x):
    _returned, _result, _broke = 1, 2, 3
    for i in range(x):
        if i == 3:
            return i, _returned
        if i > 5:
            break
    return _returned, _result, _broke


@on(3, 4)
def inner_function_and_lambda(x):
    def inner(y):
        if y > 3:
            return y
        return -y

    return inner(x), (lambda z: z + 1)(x)


@on(5, 0)
def while_true(x):
    while True:
        x -= 1
        if x < 0:
            return "below"
        if x == 2:
            break
    return x

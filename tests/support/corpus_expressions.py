"""Plain functions whose expressions decide something, each with inputs that take different ways.

PYTEST_DONT_REWRITE: the messages of asserts are compared.
"""

from __future__ import annotations

from corpus import Corpus

CORPUS = Corpus()
on = CORPUS.on


def said(trail, value):
    trail.append(value)
    return value


@on((0, 1, 2), (1, 0, 2), ("", [], 5), ("a", {}, None), (3, 4, 5))
def operands_come_back(a, b, c):
    return a and b, a or b, a and b or c, not a, not (a or b), a and b and c, a or b or c


@on((0, 0), (0, 1), (1, 0), (1, 1))
def short_circuit(a, b):
    trail = []
    if said(trail, a) and said(trail, b):
        trail.append("and")
    if said(trail, a) or said(trail, b):
        trail.append("or")
    x = said(trail, 1) if said(trail, a) else said(trail, 2)
    return trail, x


@on((1, 2, 3), (3, 2, 1), (1, 1, 1), (1, 3, 2))
def chained_comparison(a, b, c):
    trail = []
    result = said(trail, a) < said(trail, b) < said(trail, c) != said(trail, 7)
    return result, trail, a <= b <= c, a == b == c, a < b > c


@on(1, 5, 2.0)
def membership(x):
    return x in (1, 2), x not in [1, 2], 0 < x in (1, 5), x is x is not None, x in {5: 6}, None is x


@on(1, -1)
def asserts(x):
    assert x > 0, f"negative {x}"
    return x


@on(1, 0)
def bare_assert(x):
    assert x
    return x


@on((True, 1), (False, 1), (True, 0))
def nested_ternaries(a, b):
    return "x" if a and b else "y" if a else ("z" if not b else "w")


@on(1, 5, 12)
def walrus(x):
    if x > 0 and (y := x * 2) > 5:
        return y
    while (x := x - 1) > 0 and x != 3:
        pass
    return x, (z := x) and z


@on([1, 2, 3], [])
def in_comprehensions(xs):
    return (
        [x if x > 1 else -x for x in xs if x != 2 and x > 0],
        {x: x > 1 or None for x in xs},
        list(y for y in xs if not y == 1),
    )


@on(1, 0)
def class_bodies(x):
    class Inner:
        a = 1
        b = a and x or 2
        c = a if x else None

        def method(self):
            return self.a if x else self.b

    return Inner.b, Inner.c, Inner().method()


@on(1, 0)
def lambdas_and_defaults(x):
    pick = lambda v=x or 7, *rest, k=not x: v if k else (v, rest)
    return pick(), pick(1, 2), pick(k=True)


@on(0, 3)
def generator(x):
    def items():
        y = x and (yield 1)
        yield y if y else 2

    return list(items())


@on((1, 2), (2, 1))
def match_guard(a, b):
    match a:
        case n if n < b and n > 0:
            return "less"
        case _ if not a == 3:
            return "other"

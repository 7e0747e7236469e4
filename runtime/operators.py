"""The conversion operators that rewritten code calls: a plain-Python branch and a staged branch each.

Rewritten code knows this module as `_d2s`. Outside a recording every operator does exactly what the
statement that it replaces does, so rewritten code runs as ordinary Python anywhere.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

Thunk = Callable[[], Any]
Region = Callable[[], None]


class Unset(Enum):
    """The value of a variable that will be set before it is read."""

    UNSET = "unset"


UNSET = Unset.UNSET


class until:
    """Iterate `iterable`, asking `stop` before each step: a `for` loop that may break.

    `stop` is asked before the iterator advances, so an iterator keeps the items that a `break` left in it.
    """

    def __init__(self, stop: Callable[[], Any], iterable: Iterable[Any]):
        self.stop = stop
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        iterator = iter(self.iterable)
        while not self.stop():
            try:
                item = next(iterator)
            except StopIteration:
                return
            yield item


# ------------------------------------------------------------------ statements


def if_(
    condition: object,
    if_true: Region,
    if_false: Region | None,
    carried: tuple[str, ...],
    scratch: tuple[str, ...] = (),
) -> None:
    """`if condition: if_true() else: if_false()`; the branches bind variables of the function around them.

    `carried` names those that are needed after, `scratch` those that the branches only need themselves.
    """
    if condition:
        if_true()
    elif if_false is not None:
        if_false()


# ------------------------------------------------------------------ decisions inside expressions


def if_expression(condition: object, if_true: Thunk, if_false: Thunk) -> Any:
    """`if_true() if condition else if_false()`."""
    return if_true() if condition else if_false()


def and_(first: Any, *rest: Thunk) -> Any:
    """`first and ...`: each of `rest` is asked only if all before it are true."""
    if not rest:
        return first
    return if_expression(first, lambda: and_(rest[0](), *rest[1:]), lambda: first)


def or_(first: Any, *rest: Thunk) -> Any:
    """`first or ...`: each of `rest` is asked only if all before it are false."""
    if not rest:
        return first
    return if_expression(first, lambda: first, lambda: or_(rest[0](), *rest[1:]))


def and_test(first: Any, *rest: Thunk) -> bool:
    """The truth of `first and ...`."""
    if not rest:
        return truth(first)
    return bool(if_expression(first, lambda: and_test(rest[0](), *rest[1:]), lambda: False))


def or_test(first: Any, *rest: Thunk) -> bool:
    """The truth of `first or ...`."""
    if not rest:
        return truth(first)
    return bool(if_expression(first, lambda: True, lambda: or_test(rest[0](), *rest[1:])))


def not_(operand: object) -> bool:
    """`not operand`."""
    return not operand


def truth(operand: object) -> bool:
    """`bool(operand)`."""
    return bool(operand)


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "is": operator.is_,
    "is not": operator.is_not,
}


def compare(left: Any, symbol: str, operand: Thunk, *links: Any) -> Any:
    """`left < b < c` as `compare(left, "<", lambda: b, "<", lambda: c)`."""
    right = operand()
    result = _compared(left, symbol, right)
    if not links:
        return result
    return if_expression(result, lambda: compare(right, *links), lambda: result)


def _compared(left: Any, symbol: str, right: Any) -> Any:
    if symbol in ("in", "not in"):
        found = contains(right, left)
        return found if symbol == "in" else not_(found)
    return _COMPARISONS[symbol](left, right)


def contains(container: Any, item: Any) -> bool:
    """`item in container`."""
    return item in container

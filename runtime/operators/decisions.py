"""The operators for `if` and for the decisions inside expressions."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.operators.staging import Region, Thunk, recorder_for, shared_locations
from d2s.runtime.recording.branches import record_branch
from d2s.runtime.recording.choices import is_run_time_choice
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.tables import KINDS, is_run_time_key


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
    recorder = recorder_for(condition)
    if recorder is not None:
        regions = [if_true] if if_false is None else [if_true, if_false]
        places = shared_locations(regions, carried), shared_locations(regions, scratch)
        record_branch(recorder, condition, if_true, if_false or _nothing, *places)
    elif condition:
        if_true()
    elif if_false is not None:
        if_false()


def _nothing() -> None:
    pass


# ------------------------------------------------------------------ decisions inside expressions


def if_expression(condition: object, if_true: Thunk, if_false: Thunk) -> Any:
    """`if_true() if condition else if_false()`."""
    recorder = recorder_for(condition)
    if recorder is not None:
        return record_branch(recorder, condition, if_true, if_false)
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
    return truth(if_expression(first, lambda: and_test(rest[0](), *rest[1:]), lambda: False))


def or_test(first: Any, *rest: Thunk) -> bool:
    """The truth of `first or ...`."""
    if not rest:
        return truth(first)
    return truth(if_expression(first, lambda: True, lambda: or_test(rest[0](), *rest[1:])))


def not_(operand: object) -> bool:
    """`not operand`."""
    recorder = recorder_for(operand)
    if recorder is not None:
        return recorder.negation(operand)
    return not operand


def same(value: Any) -> Any:
    """The value: `partial(same, value)` is the side of an `if_expression` that gives it."""
    return value


def truth(operand: object) -> bool:
    """`bool(operand)`."""
    recorder = recorder_for(operand)
    return bool(operand) if recorder is None else recorder.truth(operand)


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
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
    if symbol in ("is", "is not"):
        same = is_(left, right)
        return same if symbol == "is" else not_(same)
    return _COMPARISONS[symbol](left, right)


def is_(left: Any, right: Any) -> Any:
    """`left is right`: of two tensors, or two numbers, that may be the same, the program asks."""
    recorder = recorder_for(left, right)
    if recorder is None or left is right:
        check_identity(left, right)
        return left is right
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        if recorder.value_of(left) == recorder.value_of(right):
            return True
    elif not any(map(is_run_time_choice, (left, right))) and left.__class__ is not right.__class__:
        return False
    return recorder.number_call(operator.is_, (left, right), bool)


def check_identity(*things: Any) -> None:
    """Go on only if it is known which objects these are."""
    recorder = active_recorder()
    if recorder is None:
        return
    for thing in things:
        recorder.merged.check_unwritten(thing)
        recorder.told_apart.add(type(thing))


def contains(container: Any, item: Any) -> bool:
    """`item in container`."""
    recorder = recorder_for(container)
    if recorder is not None:
        return recorder.number_call(operator.contains, (container, item), bool)
    is_asked = type(container) in (list, tuple) and any(map(is_staged, (item, *container)))
    if is_asked or (type(container) in KINDS and is_run_time_key(item)):
        members = (functools.partial(_is_or_equals, item, member) for member in container)
        return or_test(False, *members)
    recorder = active_recorder()
    if recorder is not None:
        recorder.reads.note_item(container, item)
    return item in container


def _is_or_equals(item: Any, member: Any) -> Any:
    return member is item or truth(member == item)

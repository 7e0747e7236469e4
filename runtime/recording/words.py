"""What a guard asks for, in words."""

from __future__ import annotations

import reprlib

from d2s.runtime.recording.checks import (
    Check,
    Differs,
    Guard,
    HasContents,
    HasForm,
    HasMembers,
    HasText,
    IsEmpty,
    IsFunction,
    IsMissing,
    IsObject,
    IsSame,
    IsTensor,
    IsValue,
    Lacks,
)


def in_words(guard: Guard) -> str:
    """A sentence such as `config.scale must be 2`."""
    return f"{guard.source} must {_asked(guard.check)}"


def _asked(check: Check) -> str:
    match check:
        case IsValue(value):
            return f"be {reprlib.repr(value)}"
        case HasText(_, text):
            return f"be {text}"
        case IsObject(thing):
            return f"be the very same {getattr(thing, '__qualname__', type(thing).__qualname__)}"
        case IsFunction():
            return "be the same function, with the same code and defaults"
        case IsTensor():
            return f"be a {check.cls.__name__} {_tensor(check)}"
        case HasForm():
            return f"be a {check.cls.__qualname__}{_form(check)}"
        case HasMembers(cls, members):
            return f"be a {cls.__qualname__} of {reprlib.repr(members)}"
        case HasContents():
            return "hold the same numbers"
        case IsMissing():
            return "not be there"
        case Lacks(names, length):
            return "have nothing that it had not" if length else f"have none of {', '.join(sorted(names))} itself"
        case IsEmpty():
            return "be empty"
        case IsSame(other):
            return f"be the same object as {other}"
        case Differs(others):
            return f"be another object than {', '.join(map(str, others))}"


def _tensor(check: IsTensor) -> str:
    strides = "" if check.strides is None else f" of strides {check.strides}"
    grad = {None: "", True: ", with a gradient", False: ", without a gradient"}[check.has_grad]
    return f"{check.type}{strides}{'' if check.leaf else ', computed'}{grad}"


def _form(check: HasForm) -> str:
    if check.keys is not None:
        return f" with the keys {reprlib.repr(check.keys)}"
    return "" if check.length is None else f" of length {check.length}"

"""What stands for the values that are known only when the program runs, and the question whether something does."""

from __future__ import annotations

from typing import Any

import torch

from d2s.runtime.ir.program import Value


class RunTimeValue:
    """Something other than a tensor that is known only when the program runs.

    What it stands for, `value`, never changes, though the list or dict that this is may.
    """

    __slots__ = ()

    value: Value
    recorder: Any


class UnansweredValue(RunTimeValue):
    """One that Python may ask for what only the run knows: `kind` is its class, `needed` gives what to raise."""

    __slots__ = ()

    kind: type

    def needed(self, what: str = "the value") -> BaseException:
        """What to raise where this has to be known."""
        raise NotImplementedError

    def __bool__(self) -> bool:
        return bool(self.recorder.decide(self))

    def __hash__(self) -> int:
        raise self.needed("the hash")

    def __index__(self) -> int:
        raise self.needed("the integer value")

    __int__ = __index__

    def __float__(self) -> float:
        raise self.needed("the float value")

    def __complex__(self) -> complex:
        raise self.needed("the complex value")

    def __repr__(self) -> str:
        if self.recorder.is_at_work():
            raise self.needed("the text")
        return f"<{self.kind.__name__} {self.value}>"

    def __str__(self) -> str:
        raise self.needed("the text")

    def __format__(self, specification: str) -> str:
        raise self.needed("the text")

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self.needed("a pickle")


def is_unanswered(thing: object) -> bool:
    """Whether code in C can't take a thing for what it stands for; its `needed()` gives what to raise."""
    return issubclass(type(thing), RunTimeValue) and hasattr(type(thing), "needed")


def is_staged(thing: object) -> bool:
    """Whether a value is known only when the program runs."""
    return isinstance(thing, torch.Tensor) or issubclass(type(thing), RunTimeValue)

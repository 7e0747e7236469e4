"""The user's own classes of tensors: a tensor that is computed may be of one, and the recording can't tell.

Torch makes what it computes of a tensor of such a class be of that class too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import class_entry, is_users_class
from d2s.runtime.recording.locations import for_the_user, user_location
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.torch_internals.calls import entries_of, replaced
from d2s.runtime.torch_internals.fakes import FakeTensor

_KEEPS_ITS_CLASS = vars(torch.Tensor)["__torch_function__"]


def class_of(tensor: torch.Tensor) -> type:
    """The class of a tensor while a recording goes on.

    Raises:
        CaptureError: it can't be known.
    """
    recorder = active_recorder()
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter
    if recorder is not None:
        check_class(tensor, recorder.reachable.classes())
    return torch.Tensor if type(tensor) is FakeTensor else type(tensor)


@for_the_user
def own_class(thing: Any) -> Any:
    """`thing.__class__`."""
    is_tensor = active_recorder() is not None and issubclass(type(thing), torch.Tensor)
    return class_of(thing) if is_tensor else thing.__class__


def is_own(cls: Any) -> bool:
    """Whether a class is the user's, and one that tensors computed of its objects are of."""
    if not isinstance(cls, type) or not issubclass(cls, torch.Tensor) or not is_users_class(cls):
        return False
    return class_entry(cls, "__torch_function__", None) is _KEEPS_ITS_CLASS


def check_class(thing: Any, classes: Iterable[Any]) -> None:
    """Go on only if it is no computed tensor that is asked whether it is of one of these classes, and may be.

    Raises:
        CaptureError: it is.
    """
    if type(thing) is FakeTensor and any(map(is_own, classes)):
        raise _unknown("the class")


def _unknown(what: str) -> CaptureError:
    reason = f"{what} of a tensor is asked for, which may be of a class of your own"
    return CaptureError("D2S307", reason, "ask an argument of the function", user_location())


@contextmanager
def refusing_their_names(recorder: Recorder) -> Iterator[None]:
    """While a recording goes on, go on only if no computed tensor is asked for what the user's classes add."""

    def refuse(cls: type) -> None:
        for base in filter(is_own, cls.__mro__):
            for name in entries_of(base).keys() - refused:
                if not name.startswith("__"):
                    refused.add(name)
                    stack.enter_context(replaced(FakeTensor, name, _refusing(recorder, name)))

    refused: set[str] = set()
    with ExitStack() as stack, recorder.reachable.telling_of_classes(refuse):
        yield


def _refusing(recorder: Recorder, name: str) -> property:
    def asked(tensor: Any) -> Any:
        if active_recorder() is recorder:
            raise _unknown(name)
        return getattr(super(FakeTensor, tensor), name)

    return property(asked)

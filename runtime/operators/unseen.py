"""Functions that are called as they are, not rewritten, tell the journal of what they may change."""

from __future__ import annotations

import builtins
import functools
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from d2s.runtime.operators.items import need_list, need_table_for
from d2s.runtime.operators.tables import of_table
from d2s.runtime.operators.texts import members
from d2s.runtime.operators.writes import READERS, block_changed, note_attribute, note_contents, note_object, unseen
from d2s.runtime.recording.branches import call_for_either
from d2s.runtime.recording.locations import for_the_user, package_of
from d2s.runtime.recording.numbers import flag_in, is_run_time_number
from d2s.runtime.recording.places import CONTAINERS
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import contents_of, copied_block, is_block
from d2s.runtime.recording.tables import KINDS
from d2s.runtime.recording.texts import is_run_time_text

_SETTERS = frozenset({"__setattr__", "__delattr__"})
# What methods in C belong to that keep nothing of their arguments.
_KEEP_NOTHING = (types.ModuleType, type, str, bytes, tuple, frozenset, int, float, complex, torch.Tensor, slice)
C_FUNCTIONS = (
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.WrapperDescriptorType,
)


# Modules that write down what they get, also numbers.
_WRITERS = frozenset("json struct pickle csv decimal fractions string datetime".split())
# Those of Python's own that look at no more than the class of what they get.
_TAKE_TEXTS = (isinstance, issubclass, callable, id, iter)


def of_c(function: Any) -> Any:
    """The form of a function that is written in C."""
    owner = getattr(function, "__self__", None)
    if _is_torchs(owner) or getattr(function, "__module__", None) == "torch._C._nn":
        return _taking_flags(knowing_texts(function))
    if owner is builtins:
        return function if function in _TAKE_TEXTS else knowing_texts(function)
    if type(owner) in KINDS:
        return of_table(function)
    if isinstance(owner, CONTAINERS):
        if function.__name__ not in READERS:
            note_contents(owner)
        return _at_position(function) if function.__name__ in ("pop", "insert") else function
    if isinstance(owner, BaseException) and function.__name__ == "__init__":
        note_attribute(owner, "args")
        return function
    if isinstance(owner, types.GeneratorType):
        return _of_generator(function)
    keeps = owner is not None and not isinstance(owner, _KEEP_NOTHING) and function.__name__ not in _SETTERS

    def noted(*args: Any, **kwargs: Any) -> Any:
        if keeps and any(map(is_staged, members([args, kwargs]))):
            what = f"{function.__name__}() of a {type(owner).__name__}"
            raise unseen(f"{what} may keep a value that is known only at run time")
        given = args if owner is None or isinstance(owner, types.ModuleType) else (owner, *args)
        note_arguments(function, given)
        with _blocks_unchanged(given):
            return knowing_texts(function)(*args, **kwargs)

    return noted


def _at_position(method: Any) -> Any:
    """`pop` and `insert` of a list of Python's own."""

    def called(*args: Any) -> Any:
        if args:
            need_list(method.__self__, args[0])
        return method(*args)

    return called


def _of_generator(method: Any) -> Any:
    """`send`, `throw` and `close` of a generator: what they do to it can't be undone."""

    def called(*args: Any) -> Any:
        recorder = active_recorder()
        if recorder is not None:
            recorder.once("runs a generator")
        return method(*args)

    return called


def knowing_texts(function: Any) -> Any:
    """The form of a function that takes no text but Python's own."""
    return functools.partial(_call_knowing_texts, function, writes_down(function))


def writes_down(function: Any) -> bool:
    """Whether a function or class is of a module that writes down what it gets, also numbers."""
    return package_of(function) in _WRITERS


@for_the_user
def _call_knowing_texts(function: Any, wants_numbers: bool, /, *args: Any, **kwargs: Any) -> Any:
    for arg in members([args, kwargs]):
        if is_run_time_text(arg) or (wants_numbers and is_run_time_number(arg)):
            raise arg.needed()
    return function(*args, **kwargs)


def _taking_flags(function: Any) -> Any:
    """The form of a function of torch that takes no bool but Python's own: it is called for either."""

    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            flag = flag_in((args, kwargs))
            if flag is None:
                raise
        return call_for_either(flag, called, args, kwargs)

    return called


def of_python(method: types.MethodType) -> Any:
    """The form of a method in Python that is not rewritten, such as one of a class of the standard library."""
    owner = method.__self__
    if (_tells_of_changes(owner) and method.__name__ not in _SETTERS) or method.__name__ in READERS:
        return method

    def noted(*args: Any, **kwargs: Any) -> Any:
        need_table_for(owner, args)
        note_object(owner)
        note_arguments(method, (owner, *args))
        return knowing_texts(method)(*args, **kwargs)

    return noted


def note_arguments(function: Any, args: tuple[Any, ...]) -> None:
    """Tell the journal of what a function may change among its arguments."""
    if function.__name__ in _SETTERS and len(args) > 1:
        note_attribute(args[0], args[1])
        return
    for arg in args:
        note_contents(arg.__self__ if isinstance(arg, types.BuiltinFunctionType) else arg)


@contextmanager
def _blocks_unchanged(args: tuple[Any, ...]) -> Iterator[None]:
    """Around a call that must not change an array of numpy's or the like among its arguments.

    Raises:
        CaptureError: it did. The array is as it was.
    """
    blocks: list[Any] = [arg.obj if isinstance(arg, memoryview) else arg for arg in args if is_block(arg)]
    before = [(block, copied_block(block)) for block in blocks]
    yield
    for block, was in before:
        if contents_of(block) != contents_of(was):
            block[slice(None)] = was
            raise block_changed(block)


def _is_torchs(owner: Any) -> bool:
    kind = owner if isinstance(owner, type) else type(owner)
    return isinstance(owner, torch.Tensor) or package_of(kind) == "torch"


def _tells_of_changes(owner: Any) -> bool:
    """Whether this is a tensor, or a module or class of torch's, whose methods tell of what they change."""
    return _is_torchs(owner) and isinstance(owner, torch.Tensor | torch.nn.Module | type)

"""The line of the user's code that is running."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import functools
import os
import sys
import sysconfig
import types
from functools import cache
from typing import Any, TypeGuard

import torch

from d2s.runtime.errors import OWN_FOLDERS, Location

TORCH_FOLDER = torch.__file__.removesuffix("__init__.py")
# Code that is recorded as it is: torch's public calls are the ops, the others know nothing of tensors.
_LEFT_ALONE = (TORCH_FOLDER, os.path.join(os.path.dirname(os.path.dirname(TORCH_FOLDER)), "numpy", ""))
# Of torch's modules, those that ask for the values of tensors: converted as the user's are.
_ASKING = (
    os.path.join(TORCH_FOLDER, "nn", "modules", "batchnorm.py"),
    os.path.join(TORCH_FOLDER, "distributions", ""),
)
_STANDARD_LIBRARY = os.path.join(sysconfig.get_path("stdlib"), "")

# Methods of torch's modules that write attributes of a module, or what it holds: converted too.
_WRITERS = (
    *("train", "eval", "requires_grad_", "add_module", "register_module", "register_buffer", "register_parameter"),
    *("append", "extend", "insert", "pop", "popitem", "update", "setdefault", "clear", "__setitem__", "__delitem__"),
)
_HOLDERS = (torch.nn.Module, torch.nn.Sequential, torch.nn.ModuleList, torch.nn.ModuleDict)
_WRITING = frozenset(vars(kind)[name].__code__ for kind in _HOLDERS for name in _WRITERS if name in vars(kind))


def _inside(code: types.CodeType, name: str) -> types.CodeType:
    """The code of a function of this name that is made by a function."""
    found = (one for one in code.co_consts if isinstance(one, types.CodeType))
    return next(one for one in found if one.co_name == name)


_OF_DATACLASSES = (
    "fields is_dataclass _is_dataclass_instance asdict _asdict_inner astuple _astuple_inner replace".split()
)
# Functions of the standard library that call what users have decorated, or the special methods of their objects:
# converted too.
_DECORATING = frozenset(
    {
        *(vars(dataclasses)[name].__code__ for name in _OF_DATACLASSES if name in vars(dataclasses)),
        _inside(functools.singledispatch.__code__, "wrapper"),
        _inside(functools.singledispatchmethod.__get__.__code__, "_method"),
        _inside(functools.partialmethod._make_unbound_method.__code__, "_method"),  # type: ignore[attr-defined]
        _inside(contextlib.contextmanager.__code__, "helper"),
        _inside(contextlib.ContextDecorator.__call__.__code__, "inner"),
        contextlib._GeneratorContextManager.__init__.__code__,
        contextlib._GeneratorContextManager._recreate_cm.__code__,
    }
)

# A place of the code: the code object, and the instruction in it. Or a part of what is made at a place, such as its
# keys: that place, and the name of the part.
Site = tuple[Any, int | str]

_ABC = abc.ABCMeta.__instancecheck__.__code__.co_filename  # it asks an object for its class
_ignored: list[str] = []
# By id: a function inside that was left as it was is equal to that of the original.
_rewritten: dict[int, types.CodeType] = {}
_for_the_user: set[types.CodeType] = set()


def ignore_folder(path: str) -> None:
    """From now on code under this path is recorded as it is, as torch's is."""
    _ignored.append(path)
    _is_left_alone.cache_clear()


def note_rewritten(code: types.CodeType) -> None:
    """Note a rewritten code object and those of the functions inside it."""
    _rewritten[id(code)] = code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            note_rewritten(constant)


def is_rewritten(code: types.CodeType) -> bool:
    """Whether code was rewritten for a recording."""
    return id(code) in _rewritten


def for_the_user(function: Any) -> Any:
    """Mark a function of ours that only calls what the user calls: what that reads, the user reads."""
    _for_the_user.add(function.__code__)
    return function


def asking_code() -> types.CodeType:
    """The code that called what called this, or on behalf of which that was called."""
    frame: Any = sys._getframe(2)
    while frame.f_code in _for_the_user or frame.f_code.co_filename == _ABC:
        frame = frame.f_back
    return frame.f_code


@cache
def is_own(filename: str) -> bool:
    """Whether a file is one of ours."""
    return filename.startswith(tuple(OWN_FOLDERS))


def is_of_ops(code: types.CodeType) -> bool:
    """Whether code is torch's or ours: what it does is recorded."""
    return is_own(code.co_filename) or code.co_filename.startswith(TORCH_FOLDER)


def is_left_alone(code: types.CodeType) -> bool:
    """Whether a function with this code is torch's, numpy's, the standard library's or ours."""
    return code not in _WRITING and code not in _DECORATING and _is_left_alone(code.co_filename)


@cache
def _is_left_alone(filename: str) -> bool:
    if filename.startswith(_ASKING):
        return False
    if is_own(filename) or filename.startswith((*_LEFT_ALONE, *_ignored)):
        return True
    return filename.startswith((_STANDARD_LIBRARY, "<frozen")) and "site-packages" not in filename


def is_of_libraries(code: types.CodeType) -> bool:
    """Whether code is torch's, numpy's, the standard library's or ours, converted or not."""
    return code.co_filename.startswith(TORCH_FOLDER) or _is_left_alone(code.co_filename)


def package_of(thing: Any) -> str:
    """The name of the top package that a function or a class is defined in, "" if that is unknown."""
    return (getattr(thing, "__module__", None) or "").partition(".")[0]


def is_users_function(thing: object) -> TypeGuard[types.FunctionType]:
    """Whether this is a function in Python that is not among those left alone."""
    return isinstance(thing, types.FunctionType) and not is_left_alone(thing.__code__)


def is_users(code: types.CodeType) -> bool:
    """Whether a code object is in a file of the user's, or of a package that is none of the above."""
    if code.co_filename.startswith(TORCH_FOLDER):
        return False
    return not is_left_alone(code) and not code.co_filename.startswith("<")


def user_location() -> Location | None:
    """The line of the user's code that is running."""
    frame: types.FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    return Location(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame else None


def current_site() -> Site:
    """The place of the user's code that is running."""
    frame = sys._getframe(1)
    while not is_users(frame.f_code) and frame.f_back is not None:
        frame = frame.f_back
    return frame.f_code, frame.f_lasti


def line_of_raise(error: BaseException) -> Location | None:
    """The innermost line of the user's code that an exception came through."""
    found = None
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if is_users(code):
            found = Location(code.co_filename, trace.tb_lineno, code.co_name)
        trace = trace.tb_next
    return found

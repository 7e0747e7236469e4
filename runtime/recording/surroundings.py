"""The settings of torch and of the process that a recording depends on: they are guarded as far as it asked."""

from __future__ import annotations

import abc
import decimal
import gc
import locale
import logging
import os
import platform
import re
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy
import torch

from d2s.runtime.ir.sources import Item, Setting, is_users_class
from d2s.runtime.recording.kinds import is_value
from d2s.runtime.recording.lifting import Reachable
from d2s.runtime.recording.locations import is_users_function, package_of
from d2s.runtime.recording.outside import LOCKS, is_outside
from d2s.runtime.recording.places import MISSING
from d2s.runtime.recording.variables import LOADED_MODULES, named_of
from d2s.runtime.torch_internals.modes import default_devices

_ASKING = re.compile(r"(get|is|are|has)_|.*_enabled$")
# What is a mode of the program, and what never changes in a process.
_FOLLOWED = frozenset(
    {
        torch.is_grad_enabled,
        torch.is_inference_mode_enabled,
        torch.get_default_dtype,
        torch.is_autocast_enabled,
        torch.get_autocast_dtype,
        torch.get_autocast_cpu_dtype,
        torch.get_autocast_gpu_dtype,
        torch.is_autocast_cache_enabled,
        torch.cuda.is_available,
    }
)
# What Python and numpy tell of the process and of the thread.
_OF_THE_PROCESS = frozenset(
    {
        *(sys.getrecursionlimit, sys.gettrace, sys.getprofile, sys.getswitchinterval, sys.getdefaultencoding),
        *(threading.current_thread, threading.main_thread, threading.active_count, threading.enumerate),
        *(threading.get_ident, threading.get_native_id, gc.isenabled, gc.get_threshold, decimal.getcontext),
        *(locale.getlocale, locale.localeconv, sys.get_int_max_str_digits),
        *(os.getenv, os.cpu_count, os.getpid, platform.system, platform.machine),
        *(numpy.geterr, numpy.geterrcall, numpy.get_printoptions, numpy.getbufsize),
    }
)

# What loggers tell of the settings of all.
_OF_LOGGERS = frozenset({"isEnabledFor", "getEffectiveLevel", "hasHandlers"})


def note_devices(reachable: Reachable) -> None:
    """The devices of new tensors always matter: call this outside of a recording."""
    reachable.add_root(Setting(default_devices), default_devices())


def is_asking(function: Any) -> bool:
    """Whether a function tells of a setting of torch or of the process that the recording does not follow itself."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, LOCKS):
        return bool(function.__name__ == "locked")
    if isinstance(owner, logging.Logger):
        return function.__name__ in _OF_LOGGERS
    if not isinstance(function, types.FunctionType | types.BuiltinFunctionType):
        return False
    if function in _OF_THE_PROCESS or getattr(function, "__name__", "") == "__subclasses__":
        return True
    if is_outside(function):
        return False
    is_torchs = package_of(function) == "torch" and function not in _FOLLOWED
    return is_torchs and bool(_ASKING.match(function.__name__))


def asking(reachable: Reachable, function: Any) -> Callable[..., Any]:
    """The form of such a function: what it answers is guarded."""
    owner = getattr(function, "__self__", None)
    is_always_told = function in _OF_THE_PROCESS or isinstance(owner, type | logging.Logger)

    def asked(*args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        if isinstance(owner, LOCKS):
            reachable.add_told(owner, _is_locked)
        elif is_always_told or (is_value(answer) and not kwargs and all(map(is_value, args))):
            reachable.add_root(Setting(function, args), answer)
        return answer

    return asked


def _is_locked(lock: Any) -> bool:
    return lock.locked()


def errors_of_numpy() -> str:
    """What numpy does where a number can't be computed, such as a division by 0."""
    return repr(numpy.geterr())


def printing_of_numpy() -> str:
    """How numpy prints arrays."""
    return repr(numpy.get_printoptions())


def note_printing(reachable: Reachable, thing: Any) -> None:
    """A text is made of an object by its class: of what is numpy's it matters how numpy prints."""
    if isinstance(thing, numpy.ndarray | numpy.generic):
        reachable.add_root(Setting(printing_of_numpy), printing_of_numpy())


def patches_of_torch() -> list[tuple[types.ModuleType, str, types.FunctionType]]:
    """The functions of the user's that were put into torch's modules, each with the module and its name there."""
    modules = torch, torch.nn.functional
    entries = [(module, name, item) for module in modules for name, item in vars(module).items()]
    return [(module, name, item) for module, name, item in entries if is_users_function(item)]


def note_kinds(reachable: Reachable, cls: type, kinds: Any) -> None:
    """It matters whether a class is one of some kinds, as far as classes may be registered with those later."""
    for kind in kinds if isinstance(kinds, tuple) else getattr(kinds, "__args__", (kinds,)):
        if isinstance(kind, tuple):
            note_kinds(reachable, cls, kind)
        elif isinstance(kind, abc.ABCMeta) and (is_users_class(cls) or is_users_class(kind)):
            reachable.add_root(Setting(issubclass, (cls, kind)), issubclass(cls, kind))


def note_loaded(reachable: Reachable, name: Any) -> None:
    """It matters whether a module of this name is loaded, and what it holds by the names in the code."""
    source, module = Item(LOADED_MODULES, name), sys.modules.get(name, MISSING)
    reachable.add_root(source, module)
    if isinstance(module, types.ModuleType):
        for path, item in named_of(source, module, reachable.names):
            reachable.add_root(path, item)

"""Functions whose answer is another at each call, or that do something that is no change of an object.

A program would repeat what they answered when it was captured, and not repeat what they did.
"""

from __future__ import annotations

import abc
import builtins
import datetime
import gc
import inspect
import io
import logging
import mmap
import os
import pathlib
import random
import sys
import threading
import time
import traceback
import types
import warnings
from typing import Any

import torch

# Modules of functions for files, processes, numbers drawn by chance, and the calls that led to the code.
_MODULES = frozenset(
    "os posix nt genericpath shutil glob subprocess tempfile socket _socket secrets uuid time urllib.request "
    "atexit signal _signal faulthandler locale _locale select fcntl resource traceback "
    "torch.random torch.serialization".split()
)
# Of those the functions that only compute.
_COMPUTE = os.fspath, os.fsencode, os.fsdecode, os.path.commonprefix, traceback.format_exception_only
# What users keep other threads waiting by; in libraries, such as `cached_property`, that is their own affair.
LOCKS = (type(threading.Lock()), type(threading.RLock()))
OF_THREADS = (
    *(*LOCKS, threading.Thread, threading.Event),
    *(threading.Semaphore, threading.Condition, threading.Barrier),
)
# What objects of these classes do, but for the methods of the classes beside them.
_CLASSES: tuple[tuple[type, type], ...] = (
    (io.IOBase, object),
    (pathlib.Path, pathlib.PurePath),
    (random.Random, object),
    (torch.Generator, object),
    (mmap.mmap, bytes),  # whose other methods are about its file and the position in it
)
# What is called for what it does to the world, and can be called again by a program. Of a logger the methods.
LOGGING = frozenset("debug info warning warn error critical exception log".split())
_TELLING = frozenset({warnings.warn, *(getattr(logging, name) for name in LOGGING)})
EFFECTS = _TELLING | {print, time.sleep}
_NOW = frozenset("now utcnow today".split())
_SINGLE = (
    *(builtins.open, builtins.input, builtins.id, torch.utils.swap_tensors, torch.Tensor.set_),
    *(sys._getframe, inspect.currentframe, inspect.stack, inspect.trace, gc.enable, gc.disable, gc.freeze),
    *(sys.settrace, sys.setprofile, sys.setswitchinterval, sys.addaudithook),
)


def tells_its_place(function: Any) -> bool:
    """Whether a function tells the world from which line it was called."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, logging.Logger):
        return function.__name__ in LOGGING
    return isinstance(function, types.FunctionType | types.BuiltinFunctionType) and function in _TELLING


def is_outside(function: Any) -> bool:
    """Whether a function of Python's or of a library asks for, or changes, what is no object of the program's."""
    owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
    if isinstance(owner, type) and issubclass(owner, datetime.date):
        return name in _NOW
    if isinstance(owner, abc.ABCMeta) and name == "register":
        return True
    if issubclass(type(owner), torch.Tensor):
        return bool(name == "set_")  # other memory: no mode of torch's sees it
    for cls, computing in _CLASSES:
        if issubclass(type(owner), cls):  # `isinstance` would ask it for its class
            return not hasattr(computing, name)
    if any(function is computing for computing in _COMPUTE):
        return False
    module = getattr(function, "__module__", None) or type(owner).__module__
    return any(function is single for single in _SINGLE) or module in _MODULES or module.startswith("numpy.random")

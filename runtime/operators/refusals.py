"""Functions and modules that no recording can follow into."""

from __future__ import annotations

import inspect
import types
from typing import Any

import torch
from torch.nn.modules.lazy import LazyModuleMixin

from d2s.runtime.errors import CaptureError
from d2s.runtime.recording.locations import is_rewritten, user_location

# What TorchScript has compiled.
SCRIPTED = (torch.jit.ScriptModule, torch.jit.ScriptFunction)
_DISTRIBUTED = ("torch.nn.parallel.distributed", "torch.distributed.")


def refuse_coroutine(function: Any) -> None:
    """Go on only if a call of a function runs it.

    Raises:
        CaptureError: it makes a coroutine or an asynchronous generator.
    """
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        reason = f"{function.__name__} is `async`: an event loop runs it, in steps"
        raise CaptureError("D2S309", reason, "make a function of the part that computes", user_location())


def refuse_unwatched(function: types.FunctionType) -> None:
    """Go on only if a function that is not rewritten does all that it does before it returns.

    Raises:
        CaptureError: it is a generator, and not one of code that was rewritten.
    """
    if inspect.isgeneratorfunction(function) and not is_rewritten(function.__code__):
        reason = f"the source of {function.__name__}, a generator, can't be had"
        raise CaptureError("D2S305", reason, "define it in a file", user_location())


def is_distributed(thing: Any) -> bool:
    """Whether this is a module of torch's that talks to other processes at each call."""
    return isinstance(thing, torch.nn.Module) and type(thing).__module__.startswith(_DISTRIBUTED)


def refuse_module(thing: Any) -> None:
    """Go on only if a thing is no module that talks to other processes, or that its first call makes, or a script.

    Raises:
        CaptureError: it is.
    """
    if isinstance(thing, LazyModuleMixin) and thing.has_uninitialized_params():
        reason = f"a {type(thing).__name__} gets its parameters at its first call"
        raise CaptureError("D2S307", reason, "call the module once before", user_location())
    if isinstance(thing, SCRIPTED):
        reason = f"a {type(thing).__name__} of TorchScript is called, which is no Python"
        raise CaptureError("D2S305", reason, "call what it was made of, or what from_torchscript() makes of it")
    if is_distributed(thing):
        reason = f"a {type(thing).__name__} sends gradients or parameters to other processes"
        raise CaptureError("D2S308", reason, "make the module inside it static", user_location())

"""The operator for numpy's functions: the program calls those that are given values of the run, or draw numbers.

An array that is made of known numbers is known as long as nothing writes it and no tensor shares its memory; what the
place of the code makes that made it is of the run otherwise.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.sources import Setting
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.texts import members
from d2s.runtime.operators.unseen import C_FUNCTIONS
from d2s.runtime.recording.arrays import is_run_time_array
from d2s.runtime.recording.locations import current_site, package_of
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import is_block
from d2s.runtime.recording.surroundings import errors_of_numpy


def is_numpys(function: Any) -> bool:
    """Whether this is a function, a class or a method of numpy's, but not of its generators."""
    return "numpy" in (package_of(function), package_of(type(function))) or _owner(function) is not None


def _owner(function: Any) -> Any:
    """The object of numpy's that a method in C belongs to; None for any other callable."""
    owner = getattr(function, "__self__", None) if isinstance(function, C_FUNCTIONS) else None
    return owner if type(owner).__module__ == "numpy" else None


def of_numpy(recorder: Recorder, function: Any, known: Callable[..., Any]) -> Callable[..., Any]:
    """The form of what is numpy's; `known` is what to call where all is known that it is given."""
    draws = (getattr(function, "__module__", None) or "").startswith("numpy.random")
    owner = _owner(function)
    target, first = (function, ()) if owner is None else (getattr(type(owner), function.__name__), (owner,))

    def called(*args: Any, **kwargs: Any) -> Any:
        given = members([args, kwargs])
        site = current_site()
        if draws or recorder.arrays.is_found(site) or any(map(is_staged, given)):
            _refuse_functions(function, [*given, getattr(function, "pyfunc", None)])
            return recorder.array_call(target, (*first, *args), kwargs, ordered=draws)
        recorder.reachable.add_root(Setting(errors_of_numpy), errors_of_numpy())
        made = known(*args, **kwargs)
        if is_block(made):
            recorder.arrays.remember(made, site)
        return made

    return called


def _refuse_functions(function: Any, given: list[Any]) -> None:
    """Go on only if numpy calls no function of the user's, which would not be converted.

    Raises:
        CaptureError: it does.
    """
    if any(isinstance(leaf, types.FunctionType | types.MethodType) for leaf in given):
        name = getattr(function, "__name__", type(function).__name__)
        reason = f"{name} calls a function for numbers that are not known before the run"
        raise CaptureError("D2S305", reason, "call it in a loop")


def _sharing(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch that gives a tensor which shares the memory of an array."""

    def called(data: Any, *args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is None or not (is_run_time_array(data) or is_block(data)):
            return function(data, *args, **kwargs)
        found = None if is_run_time_array(data) else recorder.arrays.found(data)
        if found is not None:
            raise found
        return recorder.array_call(function, (data, *args), kwargs)

    return called


REPLACEMENTS.update({function: _sharing(function) for function in (torch.from_numpy, torch.as_tensor, torch.asarray)})

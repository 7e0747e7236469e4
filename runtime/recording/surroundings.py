"""The settings of torch and of the process that a recording depends on: they are guarded as far as it asked."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.ir.sources import Setting
from d2s.runtime.recording.kinds import is_value
from d2s.runtime.recording.lifting import Reachable
from d2s.runtime.recording.locations import package_of
from d2s.runtime.torch_internals.modes import default_devices

_ASKING = ("get_", "is_", "are_", "has_")
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


def note_devices(reachable: Reachable) -> None:
    """The devices of new tensors always matter: call this outside of a recording."""
    reachable.add_root(Setting(default_devices), default_devices())


def is_asking(function: Any) -> bool:
    """Whether a function of torch's tells of a setting, which the recording does not follow itself."""
    is_function = isinstance(function, types.FunctionType | types.BuiltinFunctionType)
    return (
        is_function
        and package_of(function) == "torch"
        and function.__name__.startswith(_ASKING)
        and function not in _FOLLOWED
    )


def asking(reachable: Reachable, function: Any) -> Callable[..., Any]:
    """The form of such a function: what it answers is guarded."""

    def asked(*args: Any, **kwargs: Any) -> Any:
        answer = function(*args, **kwargs)
        if is_value(answer) and not kwargs and all(map(is_value, args)):
            reachable.add_root(Setting(function, args), answer)
        return answer

    return asked

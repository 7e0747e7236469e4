"""The modes that torch computes in: what is on, what is switched, and how to be without them."""

from __future__ import annotations

import itertools
import types
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch._C import _is_tracing, _len_torch_dispatch_stack, _len_torch_function_stack
from torch._C._functorch import peek_interpreter_stack
from torch.autograd import forward_ad
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import _disable_current_modes

from d2s.runtime.ir.modes import Autocast, Modes
from d2s.runtime.torch_internals.calls import replaced

AUTOCAST_DEVICES = ("cpu", "cuda")

# What `torch.no_grad` and `torch.set_grad_enabled` call to switch.
set_grad_enabled = torch._C._set_grad_enabled

# Whether autocast is on for any device: quicker to ask than for each.
any_autocast = torch._C._is_any_autocast_enabled


def autocast_dtypes() -> dict[str, torch.dtype]:
    """The dtype for each device on which autocast is on."""
    on = [device for device in AUTOCAST_DEVICES if torch.is_autocast_enabled(device)]
    return {device: torch.get_autocast_dtype(device) for device in on}


def modes() -> Modes:
    """The modes of torch now; what autocast was entered before is taken as entered once a device."""
    autocast = tuple(Autocast(device, dtype) for device, dtype in autocast_dtypes().items())
    return Modes(torch.is_grad_enabled(), torch.is_inference_mode_enabled(), autocast, torch.get_default_dtype())


def without_saved_hooks() -> AbstractContextManager[Any]:
    """Meanwhile the hooks around the call, which get what the graph of gradients saves, are not called."""
    if torch._C._autograd._top_saved_tensors_default_hooks(True) is None:
        return nullcontext()
    return saved_tensors_hooks(_same, _same)


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


@contextmanager
def watching_autocast(entered: Callable[[Autocast], None], left: Callable[[], object]) -> Iterator[None]:
    """Tell of each `torch.autocast` that is entered and left meanwhile."""
    enter, leave = torch.autocast.__enter__, torch.autocast.__exit__
    numbers = itertools.count(1)

    def watched_enter(self: Any) -> Any:
        answer = enter(self)
        entered(Autocast(self.device, self.fast_dtype, self._enabled, self._cache_enabled, next(numbers)))
        return answer

    def watched_leave(self: Any, *exception: Any) -> Any:
        left()
        return leave(self, *exception)

    with replaced(torch.autocast, "__enter__", watched_enter), replaced(torch.autocast, "__exit__", watched_leave):
        yield


def without_recording() -> Any:
    """A context in which no torch-function mode sees what is asked of a tensor."""
    return torch._C.DisableTorchFunction()


def is_setting(module: types.ModuleType, name: str) -> bool:
    """Whether a setting of torch is an attribute of a module, such as `torch.backends.cudnn.benchmark`."""
    entry = vars(type(module)).get(name)
    is_torchs = type(module).__module__.startswith("torch.")
    return isinstance(entry, torch.backends.ContextProp) or (is_torchs and isinstance(entry, property))


def default_devices() -> str:
    """The devices that were entered, or set, as those of new tensors, the outermost first; mostly none."""
    if _len_torch_function_stack() == 0:
        return ""
    return " ".join(str(mode.device) for mode in _get_current_function_mode_stack() if type(mode) is DeviceContext)


def is_transforming() -> bool:
    """Whether tensors stand for others: in a transform such as vmap, a mode such as that of fakes, or a trace."""
    return (
        peek_interpreter_stack() is not None
        or _len_torch_dispatch_stack() > 0
        or _is_tracing()
        or (_len_torch_function_stack() > 0 and _is_in_mode_of_users())
    )


def _is_in_mode_of_users() -> bool:
    """Whether one of the modes that see calls is of the user's, which may do anything with them."""
    kinds = map(type, _get_current_function_mode_stack())
    return any(kind is not DeviceContext and not kind.__module__.startswith("d2s.") for kind in kinds)


def is_watched() -> bool:
    """Whether anything else takes part in what torch computes, such as gradients that go forward."""
    return is_transforming() or forward_ad._current_level >= 0 or _len_torch_function_stack() > 0


@contextmanager
def without_modes() -> Iterator[None]:
    """What is asked of torch inside is done, not recorded and not done on fakes."""
    with _disable_current_modes(), without_recording():
        yield


class DispatchState:
    """Which keys torch dispatches on in this thread, to be had again further in: operators hide autograd's."""

    def __init__(self) -> None:
        self._keys = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()

    def entered(self) -> AbstractContextManager[object]:
        """A context in which they are as they were."""
        return torch._C._ForceDispatchKeyGuard(*self._keys)

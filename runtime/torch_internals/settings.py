"""The settings of torch, numpy and Python that a function can change, each with how it is read and set."""

from __future__ import annotations

import gc
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

_PRINTED = torch._tensor_str.PRINT_OPTS


@dataclass(frozen=True)
class Setting:
    """A setting: its name, what tells its value, and what sets it to such a value.

    `by_imports` is whether modules change it when they are imported, which stays so.
    """

    name: str
    read: Callable[[], Any]
    set: Callable[[Any], Any]
    by_imports: bool = False


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _anomaly() -> tuple[bool, bool]:
    return torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()


def _filters() -> tuple[Any, ...]:
    return tuple(warnings.filters)


def _set_filters(filters: tuple[Any, ...]) -> None:
    warnings.filters[:] = filters  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _set_printed(options: dict[str, Any]) -> None:
    vars(_PRINTED).update(options)


_SETTINGS = (
    Setting(
        "deterministic algorithms",
        _deterministic,
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    ),
    Setting("threads", torch.get_num_threads, torch.set_num_threads),
    Setting("precision of float32", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    Setting("warn always", torch.is_warn_always_enabled, torch.set_warn_always),
    Setting("anomalies", _anomaly, lambda value: torch.set_anomaly_enabled(*value)),
    Setting("print options", lambda: dict(vars(_PRINTED)), _set_printed),
    Setting("multithreaded backward", torch.autograd.is_multithreading_enabled, torch._C._set_multithreading_enabled),
    Setting("flash attention", torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.enable_flash_sdp),
    Setting("plain attention", torch.backends.cuda.math_sdp_enabled, torch.backends.cuda.enable_math_sdp),
    Setting(
        "efficient attention",
        torch.backends.cuda.mem_efficient_sdp_enabled,
        torch.backends.cuda.enable_mem_efficient_sdp,
    ),
    Setting("attention of cudnn", torch.backends.cuda.cudnn_sdp_enabled, torch.backends.cuda.enable_cudnn_sdp),
    Setting("the recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    Setting("the garbage collector", gc.isenabled, lambda value: gc.enable() if value else gc.disable()),
    Setting("filters of warnings", _filters, _set_filters, by_imports=True),
)


def settings() -> Iterator[Setting]:
    """All that are there now; those of numpy once it is loaded."""
    yield from _SETTINGS
    for module in (torch.backends.cudnn, torch.backends.mkldnn, torch.backends.opt_einsum):
        for name, entry in vars(type(module)).items():
            if isinstance(entry, torch.backends.ContextProp):
                yield Setting(f"{module.__name__}.{name}", *_accessors(module, name))
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        yield Setting("errors of numpy", numpy.geterr, lambda value: numpy.seterr(**value))


def _accessors(module: types.ModuleType, name: str) -> tuple[Callable[[], Any], Callable[[Any], None]]:
    return lambda: getattr(module, name), lambda value: setattr(module, name, value)

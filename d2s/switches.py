"""What users switch: functions and modules that stay as they are, and everything off."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.runtime.operators.opaque import keep_dynamic
from d2s.runtime.recording.locations import ignore_folder


class Switch:
    """Whether static functions run as programs at all."""

    enabled = True


def enable_to_static(enabled: bool = True) -> None:
    """Switch all static functions on or off: off, they run the original Python code."""
    if not isinstance(enabled, bool):
        raise D2SError(f"enable_to_static takes True or False, not {enabled!r}")
    Switch.enabled = enabled


def not_to_static(target: Any = None) -> Any:
    """Mark a function, method, class of modules or module that is always to run as the Python code that it is.

    A program calls it at each run. The mark is for code that d2s would rewrite wrongly or that does something that it
    can't see. What it returns must be made of tensors, numbers, lists and tuples.
    """
    if target is None:
        return not_to_static
    if isinstance(target, type):
        if not issubclass(target, torch.nn.Module):
            raise D2SError(f"not_to_static takes a class of modules, and {target.__name__} is none")
        keep_dynamic(getattr(target, "forward"))  # noqa: B009
    elif isinstance(target, torch.nn.Module):
        keep_dynamic(target)
    elif isinstance(target, classmethod | staticmethod):
        keep_dynamic(target.__func__)
    elif callable(target):
        keep_dynamic(getattr(target, "__func__", target))
    else:
        raise D2SError(f"not_to_static takes something that can be called, not {target!r}")
    return target


def ignore_module(modules: ModuleType | Iterable[ModuleType]) -> None:
    """Leave the functions of Python modules and packages as they are: they are recorded, and not rewritten."""
    given: list[Any] = [modules] if isinstance(modules, ModuleType) else list(modules)
    for module in given:
        if not isinstance(module, ModuleType):
            raise D2SError(f"ignore_module takes Python modules, not {module!r}")
        file = getattr(module, "__file__", None)
        if file is not None:
            ignore_folder(file.removesuffix("__init__.py"))

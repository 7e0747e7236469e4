"""The modes of torch that change what a call does: grad mode, inference mode, autocast, hooks of saved tensors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.autograd.graph import saved_tensors_hooks


@dataclass(frozen=True)
class Autocast:
    """One entered `torch.autocast`; `number` tells it from others, for each has a cache of its own."""

    device: str
    dtype: torch.dtype
    enabled: bool = True
    cache: bool = True
    number: int = 0

    def context(self) -> str:
        """What enters it, as source."""
        flags = {"enabled": self.enabled, "cache_enabled": self.cache}
        others = [f"{name}=False" for name, on in flags.items() if not on]
        return f"torch.autocast({', '.join([repr(self.device), str(self.dtype), *others])})"

    def __str__(self) -> str:
        return f"autocast {self.device} {str(self.dtype).removeprefix('torch.')}" if self.enabled else "no autocast"


@dataclass(frozen=True)
class SavedHooks:
    """Hooks that torch calls with each tensor that it saves for the backward, and when it takes it back."""

    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


@dataclass(frozen=True)
class Modes:
    """All modes at one point; `autocast` and `hooks` hold what is entered there, the outermost first.

    `dtype` is the default one; it stays the same in a program.
    """

    grad: bool = True
    inference: bool = False
    autocast: tuple[Autocast, ...] = ()
    dtype: torch.dtype = torch.float32
    hooks: tuple[SavedHooks, ...] = ()

    @property
    def autocast_dtypes(self) -> dict[str, torch.dtype]:
        """The dtype for each device on which autocast is on."""
        found: dict[str, torch.dtype] = {}
        for entered in self.autocast:
            found.pop(entered.device, None)
            if entered.enabled:
                found[entered.device] = entered.dtype
        return found

    def is_inside(self, outer: Modes) -> bool:
        """Whether everything entered in `outer` is still entered."""
        has_autocast = self.autocast[: len(outer.autocast)] == outer.autocast
        return has_autocast and self.hooks[: len(outer.hooks)] == outer.hooks

    def entered(self) -> AbstractContextManager[object]:
        """A context in which these are the modes, as long as nothing is entered outside."""
        stack = ExitStack()
        for one in self.autocast:
            stack.enter_context(torch.autocast(one.device, one.dtype, one.enabled, one.cache))
        for hooks in self.hooks:
            stack.enter_context(saved_tensors_hooks(hooks.pack, hooks.unpack))
        if self.inference != torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(self.inference))
        stack.enter_context(torch.set_grad_enabled(self.grad))
        return stack

    def __str__(self) -> str:
        """What differs from torch's own defaults, as a comment."""
        names = [str(self.autocast[-1])] if self.autocast else []
        names += ["saved_tensors_hooks"] if self.hooks else []
        if self.inference:
            names.append("inference_mode")
        elif not self.grad:
            names.append("no_grad")
        return ", ".join(names)


def entering(outside: Modes, inside: Modes) -> tuple[str, tuple[Any, ...], Modes]:
    """The context that brings one mode of `inside` about, and the modes in it.

    The context is a text with a `{}` for each of the things that go with it.
    """
    if inside.hooks != outside.hooks:
        assert inside.is_inside(outside), "hooks are taken off before they are put on"
        added = inside.hooks[len(outside.hooks)]
        modes = replace(outside, hooks=(*outside.hooks, added))
        return "torch.autograd.graph.saved_tensors_hooks({}, {})", (added.pack, added.unpack), modes
    if inside.autocast != outside.autocast:
        assert inside.is_inside(outside), "autocast is left before it is entered"
        new = inside.autocast[len(outside.autocast)]
        return new.context(), (), replace(outside, autocast=(*outside.autocast, new))
    if inside.inference != outside.inference:
        modes = replace(outside, inference=inside.inference, grad=not inside.inference)
        return f"torch.inference_mode({inside.inference})", (), modes
    return "torch.enable_grad()" if inside.grad else "torch.no_grad()", (), inside


def stays(entered: Modes, outside: Modes, modes: Modes) -> bool:
    """Whether an op in these modes still runs in the mode that was entered from `outside`."""
    if (entered.autocast, entered.hooks) != (outside.autocast, outside.hooks):
        return modes.is_inside(entered)
    if entered.inference != outside.inference:
        return modes.is_inside(outside) and modes.inference == entered.inference
    return modes.is_inside(outside) and (modes.inference, modes.grad) == (entered.inference, entered.grad)

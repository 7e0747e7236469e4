"""The modes of torch that change what a call does: grad mode, inference mode and autocast."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace

import torch


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
class Modes:
    """All modes at one point; `autocast` holds what is entered there, the outermost first.

    `dtype` is the default one; it stays the same in a program.
    """

    grad: bool = True
    inference: bool = False
    autocast: tuple[Autocast, ...] = ()
    dtype: torch.dtype = torch.float32

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
        return self.autocast[: len(outer.autocast)] == outer.autocast

    def entered(self) -> AbstractContextManager[object]:
        """A context in which these are the modes, as long as nothing is entered outside."""
        stack = ExitStack()
        for one in self.autocast:
            stack.enter_context(torch.autocast(one.device, one.dtype, one.enabled, one.cache))
        if self.inference != torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(self.inference))
        stack.enter_context(torch.set_grad_enabled(self.grad))
        return stack

    def __str__(self) -> str:
        """What differs from torch's own defaults, as a comment."""
        names = [str(self.autocast[-1])] if self.autocast else []
        if self.inference:
            names.append("inference_mode")
        elif not self.grad:
            names.append("no_grad")
        return ", ".join(names)


def entering(outside: Modes, inside: Modes) -> tuple[str, Modes]:
    """The context that brings one mode of `inside` about, and the modes in it."""
    if inside.autocast != outside.autocast:
        assert inside.is_inside(outside), "autocast is left before it is entered"
        new = inside.autocast[len(outside.autocast)]
        return new.context(), replace(outside, autocast=(*outside.autocast, new))
    if inside.inference != outside.inference:
        grad = not inside.inference
        return f"torch.inference_mode({inside.inference})", replace(outside, inference=inside.inference, grad=grad)
    return "torch.enable_grad()" if inside.grad else "torch.no_grad()", inside


def stays(entered: Modes, outside: Modes, modes: Modes) -> bool:
    """Whether an op in these modes still runs in the mode that was entered from `outside`."""
    if entered.autocast != outside.autocast:
        return modes.is_inside(entered)
    if entered.inference != outside.inference:
        return modes.is_inside(outside) and modes.inference == entered.inference
    return modes.is_inside(outside) and (modes.inference, modes.grad) == (entered.inference, entered.grad)

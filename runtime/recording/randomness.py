"""Generators of random numbers: Python's, numpy's and torch's."""

from __future__ import annotations

import pickle
import random
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch


def is_generator(thing: Any) -> bool:
    """Whether this is a generator of random numbers that has a state."""
    return _accessors(thing) is not None


def global_generators() -> list[Any]:
    """Those that the functions of the modules draw from."""
    numpy = sys.modules.get("numpy.random")
    own: Any = random.seed.__self__  # type: ignore[attr-defined]
    return [own, torch.default_generator, *([numpy.mtrand._rand] if numpy is not None else [])]


def state_of(generator: Any) -> bytes:
    """Its state: equal for two that will draw the same."""
    accessors = _accessors(generator)
    assert accessors is not None
    return pickle.dumps(accessors[0]())


def set_state(generator: Any, state: bytes) -> None:
    """Let it be in a state that `state_of` gave."""
    accessors = _accessors(generator)
    assert accessors is not None
    accessors[1](pickle.loads(state))


def _accessors(thing: Any) -> tuple[Callable[[], Any], Callable[[Any], object]] | None:
    """What gives and what sets the state of a generator; None for other things."""
    if isinstance(thing, torch.Generator):
        return lambda: thing.get_state().numpy(), lambda state: thing.set_state(torch.from_numpy(state))
    if isinstance(thing, random.Random):
        return None if isinstance(thing, random.SystemRandom) else (thing.getstate, thing.setstate)
    if not type(thing).__module__.startswith("numpy.random"):
        return None
    if type(thing).__name__ == "RandomState":
        return partial(thing.get_state, legacy=False), thing.set_state
    bits = getattr(thing, "bit_generator", thing)
    return (lambda: bits.state, partial(setattr, bits, "state")) if hasattr(bits, "random_raw") else None

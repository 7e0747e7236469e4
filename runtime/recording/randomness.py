"""Generators of random numbers: Python's, numpy's and torch's."""

from __future__ import annotations

import pickle
import random
import sys
from typing import Any

import torch


def is_generator(thing: Any) -> bool:
    """Whether this is a generator of random numbers that has a state."""
    if isinstance(thing, random.Random):
        return not isinstance(thing, random.SystemRandom)
    return isinstance(thing, torch.Generator) or _bits_of(thing) is not None


def global_generators() -> list[Any]:
    """Those that the functions of the modules draw from."""
    numpy = sys.modules.get("numpy.random")
    own: Any = random.seed.__self__  # type: ignore[attr-defined]
    return [own, torch.default_generator, *([numpy.mtrand._rand] if numpy is not None else [])]


def state_of(generator: Any) -> bytes:
    """Its state: equal for two that will draw the same."""
    if isinstance(generator, torch.Generator):
        return bytes(generator.get_state().numpy())
    if isinstance(generator, random.Random):
        return pickle.dumps(generator.getstate())
    return pickle.dumps(generator.get_state(legacy=False) if _is_old(generator) else _bits_of(generator).state)


def set_state(generator: Any, state: bytes) -> None:
    """Let it be in a state that `state_of` gave."""
    if isinstance(generator, torch.Generator):
        generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
    elif isinstance(generator, random.Random):
        generator.setstate(pickle.loads(state))
    elif _is_old(generator):
        generator.set_state(pickle.loads(state))
    else:
        _bits_of(generator).state = pickle.loads(state)


def _is_old(generator: Any) -> bool:
    return type(generator).__name__ == "RandomState"


def _bits_of(thing: Any) -> Any:
    """What keeps the state of a generator of numpy's, None for other things."""
    if not type(thing).__module__.startswith("numpy.random"):
        return None
    bits = getattr(thing, "bit_generator", thing)
    return bits if _is_old(thing) or hasattr(bits, "random_raw") else None

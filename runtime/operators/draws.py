"""The operators for functions of Python's own generator that pick among things: the program picks positions."""

from __future__ import annotations

import importlib
import importlib.util
import random
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import ORDERED
from d2s.runtime.operators.builtins import REPLACEMENTS, display, len_
from d2s.runtime.operators.items import get_item
from d2s.runtime.operators.orders import positions, rearrange
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged


def shuffled_positions(count: int) -> tuple[int, ...]:
    """The positions where `random.shuffle` takes the items of a list from."""
    positions = list(range(count))
    random.shuffle(positions)
    return tuple(positions)


def sampled_positions(count: int, picked: int) -> tuple[int, ...]:
    """The positions that `random.sample` picks."""
    return tuple(random.sample(range(count), picked))


def chosen_positions(count: int, weights: Any, cumulative: Any, picked: int) -> tuple[int, ...]:
    """The positions that `random.choices` picks."""
    return tuple(random.choices(range(count), weights, cum_weights=cumulative, k=picked))


def _positions(recorder: Recorder, count: Any, target: Callable[..., Any], *args: Any) -> tuple[Any, ...]:
    """As many positions as `count` says, drawn by a call."""
    if is_staged(count):
        reason = "how many things are picked by chance depends on values of tensors"
        raise CaptureError("D2S301", reason, "pick a number of them that is known, or draw with torch")
    return positions(recorder, count, target, args, ORDERED)


def choice(items: Any) -> Any:
    """`random.choice(items)`."""
    recorder = active_recorder()
    if recorder is None:
        return random.choice(items)
    return get_item(items, recorder.number_call(random.randrange, (len_(items),), int, effects=ORDERED))


def shuffle(items: Any) -> None:
    """`random.shuffle(items)`."""
    recorder = active_recorder()
    if recorder is None:
        random.shuffle(items)
        return
    rearrange(items, _positions(recorder, len_(items), shuffled_positions, len_(items)))


def sample(items: Any, k: Any, *, counts: Any = None) -> Any:
    """`random.sample(items, k)`."""
    recorder = active_recorder()
    if recorder is None or counts is not None:
        return random.sample(items, k, counts=counts)
    return display([get_item(items, at) for at in _positions(recorder, k, sampled_positions, len_(items), k)])


def choices(items: Any, weights: Any = None, *, cum_weights: Any = None, k: Any = 1) -> Any:
    """`random.choices(items, weights, k=k)`."""
    recorder = active_recorder()
    if recorder is None:
        return random.choices(items, weights, cum_weights=cum_weights, k=k)
    args = len_(items), weights, cum_weights, k
    return display([get_item(items, at) for at in _positions(recorder, k, chosen_positions, *args)])


def _seeding(function: Callable[[Any], Any], answer: Any = None) -> Callable[[Any], Any]:
    """A function that seeds a generator, and its answer: the program seeds it where the function does."""

    def seeded(seed: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return function(seed)
        recorder.emit_call(function, (seed,), {}, None, ORDERED)
        return answer

    return seeded


manual_seed = _seeding(torch.manual_seed, torch.default_generator)


def _scalar(function: Any, kind: type, most: int) -> Callable[..., Any]:
    """A function of numpy's generator that gives a number, unless it is given a size."""

    def drawn(*args: Any, **kwargs: Any) -> Any:
        recorder = active_recorder()
        if recorder is None:
            return function(*args, **kwargs)
        if len(args) > most or "size" in kwargs:
            return recorder.array_call(function, args, kwargs, ordered=True)
        return recorder.number_call(function, args, kind, kwargs=kwargs, effects=ORDERED)

    return drawn


def _of_numpy() -> dict[Any, Any]:
    """The operators for numpy's functions, if numpy is there."""
    if importlib.util.find_spec("numpy") is None:
        return {}
    numbers = importlib.import_module("numpy").random
    floats = {"rand": 0, "randn": 0, "random": 0, "uniform": 2, "normal": 2, "standard_normal": 0, "exponential": 1}
    return {
        numbers.seed: _seeding(numbers.seed),
        numbers.randint: _scalar(numbers.randint, int, 2),
        **{getattr(numbers, name): _scalar(getattr(numbers, name), float, most) for name, most in floats.items()},
    }


REPLACEMENTS.update(_of_numpy())
REPLACEMENTS.update({random.choice: choice, random.shuffle: shuffle, random.sample: sample, random.choices: choices})
REPLACEMENTS.update({torch.manual_seed: manual_seed, random.seed: _seeding(random.seed)})

"""Captures a case, changes one thing, calls again, changes it back and calls again: always as eager does.

`make stale` does so with all cases and all changes; `ONLY=` with the beginning of a name does so with those alone.
"""

from __future__ import annotations

import copy
import io
import random
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from typing import Any

import corpus_exits
import corpus_expressions
import language
import numpy as np
import torch
from changes import Change, changes
from compare import detached, outcome, same
from edits import at, others
from reach import CONTAINERS, Kept, plain, reached

import d2s


@dataclass(frozen=True)
class Case:
    """A function or a module, made anew each time, and the arguments of one call."""

    name: str
    make: Any
    args: tuple[Any, ...]


def cases() -> Iterator[Case]:
    """The features of the language, and what leaves and decides early."""
    for corpus in (corpus_exits.CORPUS, corpus_expressions.CORPUS):
        for function, inputs in corpus.cases:
            yield Case(f"plain/{function.__name__}", lambda function=function: function, inputs[0])
    for feature in language.load():
        if not feature.eager and not feature.missing:
            yield Case(
                f"{feature.group}/{feature.name}", lambda thing=feature.thing: language.made(thing), feature.inputs[0]
            )


SECONDS = 15


class TooLong(BaseException):
    """A call has not ended in time."""


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Raise in what does not end.

    Raises:
        TooLong: it has not ended.
    """

    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class World:
    """A case with its static form, which share all that they can reach."""

    case: Case
    thing: Any
    static: Any
    args: list[Any]

    @classmethod
    def of(cls, case: Case) -> World:
        thing = case.make()
        return cls(case, thing, d2s.to_static(thing), list(case.args))  # a module is made static in place

    def changes(self) -> Iterator[Change]:
        """All that can be changed before a call."""
        for place, arg in enumerate(self.args):
            for other in others(arg):
                yield Change(f"argument {place} is {other!r}", partial(at, self.args, place, other))
        yield from changes(self.thing)

    def both(self) -> tuple[Any, Any]:
        """What eager and the static function give, and leave, from the same state."""
        return self._done(False), self._done(True)

    def eager(self) -> Any:
        """What eager gives and leaves."""
        return self._done(False)

    def _done(self, static: bool) -> Any:
        everything = reached(self.thing)
        kept, args, printed = Kept(everything), tuple(copy.deepcopy(self.args)), io.StringIO()
        torch.manual_seed(0)
        random.seed(0)
        np.random.seed(0)
        d2s.enable_to_static(static)
        try:
            with no_longer_than(SECONDS * (1 + static)), redirect_stdout(printed):
                answer = outcome(self.static, *args)
            return _comparable(answer), detached(args), printed.getvalue(), _state(everything)
        except TooLong:
            if not static:
                raise
            return "no end", args, printed.getvalue(), None
        finally:
            d2s.enable_to_static(True)
            kept.restore()


def _comparable(answer: Any) -> Any:
    """An answer; of an exception only the class."""
    return answer[0] if isinstance(answer, tuple) and answer and isinstance(answer[0], type) else detached(answer)


def _state(things: list[Any]) -> Any:
    held = [plain(thing) for thing in things if isinstance(thing, CONTAINERS)]
    return [
        {str(key): _told(item) for key, item in thing.items()} if isinstance(thing, dict) else list(map(_told, thing))
        for thing in held
        if len(thing) < 50
    ]


def _told(thing: Any) -> Any:
    """What of a thing can be compared: its value, or its class."""
    if isinstance(thing, torch.Tensor):
        return thing.detach().clone()
    return thing if isinstance(thing, bool | int | float | str | None) else type(thing).__name__


def stale(case: Case, chosen: Any = None) -> Iterator[str]:
    """What differs from eager, of all changes or of those `chosen` among them."""
    world = World.of(case)
    want, got = world.both()
    if not same(want, got):
        yield f"{case.name}: already without a change"
        return
    for change in chosen(list(world.changes())) if chosen else world.changes():
        yield from _after(world, change)


def _after(world: World, change: Change) -> Iterator[str]:
    try:
        with change.made():
            want, got = world.both()
            # Such as what a wrong size has torch read of memory that nobody wrote.
            is_same = same(want, got) or not same(want, world.eager())
    except (RuntimeError, AttributeError, TypeError, ValueError, TooLong):
        return  # it can't be changed so, or never ends in eager either
    if not is_same:
        yield f"{world.case.name}: {change.what}: {_differences(got, want)}"
    want, got = world.both()
    if not same(want, got):
        yield f"{world.case.name}: {change.what}, and back: {_differences(got, want)}"


def _differences(got: tuple[Any, ...], want: tuple[Any, ...]) -> str:
    pairs = zip(got, want, strict=True)
    return "; ".join(f"{left} instead of {right}" for left, right in pairs if not same(left, right))


def main(prefixes: list[str]) -> None:
    """Run all cases whose names begin so."""
    warnings.simplefilter("ignore")
    count = bad = 0
    for case in cases():
        if not prefixes or case.name.startswith(tuple(prefixes)):
            count += 1
            for line in stale(case):
                bad += 1
                print(line[:400], flush=True)
    print(f"{count} cases, {bad} stale")
    sys.exit(bool(bad))


if __name__ == "__main__":
    main(sys.argv[1:])

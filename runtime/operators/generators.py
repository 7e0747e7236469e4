"""Generators that a loop of the program can go over as a whole, as long as no item was taken by itself."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator, Iterable
from typing import Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.recorder import active_recorder


class Given:
    """An iterator, and until its first item is taken also what it is made of."""

    __class__ = property(lambda self: types.GeneratorType)

    def __init__(self, lasting: bool = False) -> None:
        self.lasting = lasting  # whether what it takes its items from is kept elsewhere, and must keep the rest
        self._generator: Generator[Any, Any, Any] | None = None

    def given(self) -> Generator[Any, Any, Any]:
        """Its items, one by one."""
        raise NotImplementedError

    def __iter__(self) -> Given:
        return self

    def __next__(self) -> Any:
        return next(self._started())

    def send(self, value: Any) -> Any:
        """As of a generator."""
        return self._driven().send(value)

    def throw(self, *error: Any) -> Any:
        """As of a generator."""
        return self._driven().throw(*error)

    def close(self) -> None:
        """As of a generator."""
        self._driven().close()

    def _driven(self) -> Generator[Any, Any, Any]:
        """The generator, by a call that can't be undone."""
        recorder = active_recorder()
        if recorder is not None:
            recorder.once("runs a generator")
        return self._started()

    def output(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """What the program calls, and with what, to hand it on.

        Raises:
            CaptureError: items of it were taken already.
        """
        if self._generator is not None:
            reason = "a generator of which items were taken is handed on"
            raise CaptureError("D2S307", reason, "hand on a list of the rest", user_location())
        return self._made()

    def _made(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        raise NotImplementedError

    def _started(self) -> Generator[Any, Any, Any]:
        if self._generator is None:
            self._generator = self.given()
        return self._generator

    def is_fresh(self) -> bool:
        """Whether no item was taken yet."""
        return self._generator is None

    def use_up(self) -> None:
        """From now on it has no items."""
        self._generator = _nothing()


def _nothing() -> Generator[Any, Any, Any]:
    yield from ()


def given_by(items: Iterable[Any], element: Any, keep: Any, nested: bool) -> Generator[Any, Any, Any]:
    """The items of a generator expression, one by one."""
    for item in items:
        if keep is None or keep(item):
            if nested:
                yield from element(item)
            else:
                yield element(item)


def called(function: Callable[[], Any]) -> Any:
    """`function()`."""
    return function()


class Generated(Given):
    """What a generator expression gives: `element(item) for item in items if keep(item)`.

    Where `nested`, `element` gives several.
    """

    def __init__(self, items: Iterable[Any], element: Any, keep: Any, nested: bool, lasting: bool):
        super().__init__(lasting)
        self.items = items
        self.element = element
        self.keep = keep
        self.nested = nested

    def given(self) -> Generator[Any, Any, Any]:
        """Its items, one by one."""
        return given_by(self.items, self.element, self.keep, self.nested)

    def _made(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return given_by, (self.items, self.element, self.keep, self.nested)


class Yielded(Given):
    """What a generator function gives: `pushed(emit)` hands all on, `pulled()` is the generator."""

    def __init__(self, pushed: Callable[[Any], object], pulled: Callable[[], Generator[Any, Any, Any]]):
        super().__init__()
        self.pushed = pushed
        self.given = pulled  # type: ignore[method-assign]

    def _made(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return called, (self.given,)


class Enumerated(Given):
    """What `enumerate` gives of an iterator."""

    __class__ = property(lambda self: enumerate)

    def __init__(self, items: Iterable[Any], start: Any, lasting: bool):
        super().__init__(lasting)
        self.items = items
        self.start = start

    def given(self) -> Generator[Any, Any, Any]:
        """Its pairs, one by one."""
        yield from enumerate(self.items, self.start)

    def _made(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return enumerate, (self.items, self.start)


def is_fresh(items: Any) -> bool:
    """Whether this is a generator of one of these kinds, of which no item was taken yet."""
    if type(items) is Enumerated:
        return items.is_fresh() and is_fresh(items.items)
    return issubclass(type(items), Generated | Yielded) and items.is_fresh()


def generator(pushed: Callable[[Any], object], pulled: Callable[[], Generator[Any, Any, Any]]) -> Any:
    """What a call of a generator function gives, which is there in two forms."""
    return pulled() if active_recorder() is None else Yielded(pushed, pulled)

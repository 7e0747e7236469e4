"""Generators that a loop of the program can go over as a whole, as long as no item was taken by itself."""

from __future__ import annotations

import types
from collections.abc import Callable, Generator, Iterable
from typing import Any

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
        return self._started().send(value)

    def throw(self, *error: Any) -> Any:
        """As of a generator."""
        return self._started().throw(*error)

    def close(self) -> None:
        """As of a generator."""
        self._started().close()

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
        for item in self.items:
            if self.keep is None or self.keep(item):
                if self.nested:
                    yield from self.element(item)
                else:
                    yield self.element(item)


class Yielded(Given):
    """What a generator function gives: `pushed(emit)` hands all on, `pulled()` is the generator."""

    def __init__(self, pushed: Callable[[Any], object], pulled: Callable[[], Generator[Any, Any, Any]]):
        super().__init__()
        self.pushed = pushed
        self.given = pulled  # type: ignore[method-assign]


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


def is_fresh(items: Any) -> bool:
    """Whether this is a generator of one of these kinds, of which no item was taken yet."""
    if type(items) is Enumerated:
        return items.is_fresh() and is_fresh(items.items)
    return type(items) in (Generated, Yielded) and items.is_fresh()


def generator(pushed: Callable[[Any], object], pulled: Callable[[], Generator[Any, Any, Any]]) -> Any:
    """What a call of a generator function gives, which is there in two forms."""
    return pulled() if active_recorder() is None else Yielded(pushed, pulled)

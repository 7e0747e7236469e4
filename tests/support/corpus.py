"""A corpus: small functions, each with inputs that take different ways through it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Corpus:
    """Functions in the order in which they were put in, with a tuple of arguments for each input."""

    def __init__(self) -> None:
        self.cases: list[tuple[Callable[..., Any], list[tuple[Any, ...]]]] = []

    def on(self, *inputs: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Put a function into the corpus, with one-argument inputs (a tuple is several arguments)."""

        def register(function: Callable[..., Any]) -> Callable[..., Any]:
            self.cases.append((function, [i if isinstance(i, tuple) else (i,) for i in inputs]))
            return function

        return register

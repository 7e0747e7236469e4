"""Makes names for generated variables and functions that nothing in the user's function uses."""

from __future__ import annotations

from collections.abc import Iterable

import gast


class Namer:
    """Gives out each name once."""

    def __init__(self, taken: Iterable[str]):
        self._taken = set(taken)

    def fresh(self, stem: str) -> str:
        """`stem`, or `stem_2`, `stem_3`, ... where it is taken."""
        name, count = stem, 1
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name


def names_in(tree: gast.AST) -> set[str]:
    """Every identifier in a tree, whatever it is used for."""
    found: set[str] = set()
    for node in gast.walk(tree):
        for _, value in gast.iter_fields(node):
            values = value if isinstance(value, list) else [value]
            found.update(item for item in values if isinstance(item, str))
    return found

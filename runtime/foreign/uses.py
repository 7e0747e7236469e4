"""One use of an operator in somebody else's graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from d2s.runtime.ir.program import Tree, Value, values_in

# A function, its arguments by position, and those by name.
Called = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


@dataclass
class Operator:
    """One use of an operator: its name without overload, and its arguments by name, as trees.

    `left_out` are those that are as the schema has them anyway, `by_name` those that take no position; `on_tensor`
    is whether the first argument is a tensor, `of_tensors` whether any is.
    """

    name: str
    given: dict[str, Any]
    left_out: frozenset[str] = frozenset()
    by_name: frozenset[str] = frozenset()
    on_tensor: bool = True
    of_tensors: bool = True
    types: list[Any] = field(default_factory=list)

    def get(self, name: str, default: Any = None) -> Any:
        """An argument that says something."""
        return default if name in self.left_out else self.given.get(name, default)


def is_written(argument: Any) -> bool:
    """Whether an operator changes an argument of its schema, or gives back what it changed."""
    return argument.alias_info is not None and argument.alias_info.is_write


def written_by(schema: Any, trees: Iterable[Tree]) -> tuple[Value, ...]:
    """The values among the arguments of an operator that it changes."""
    return tuple(values_in([tree for one, tree in zip(schema.arguments, trees, strict=True) if is_written(one)]))

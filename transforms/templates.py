"""Quasi-quotes: code written as Python text with named holes, into which nodes are put."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import gast

Node = Any
Hole = Any


def statements(template: str, at: Node, **holes: Hole) -> list[Node]:
    """The statements of a template.

    A name of the template that is also a keyword here is a hole: a str renames it, an expression takes
    its place, a list of statements takes the place of the statement that consists of it, a list of names
    is put into a `nonlocal` or `global`. New nodes stand at the position of `at`, so that tracebacks point
    at the line that was rewritten.
    """
    body: list[Node] = copy.deepcopy(_parsed(template)).body
    filler = _Filler(holes, at)
    filled = []
    for statement in body:
        result = filler.visit(statement)
        filled += result if isinstance(result, list) else [result]
    for name in holes:
        if name not in filler.used:
            raise ValueError(f"the template has no hole {name!r}: {template!r}")
    return filled


def expression(template: str, at: Node, **holes: Hole) -> Node:
    """The expression of a template; see `statements`."""
    (statement,) = statements(template, at, **holes)
    return statement.value


def placed(node: Node, at: Node) -> Node:
    """The node, standing at the first line of `at`.

    Not at all its lines: where a call spans several, CPython reports the last one.
    """
    node.lineno = node.end_lineno = at.lineno
    node.col_offset = node.end_col_offset = at.col_offset
    return node


def thunk(value: Node) -> Node:
    """`lambda: value`, to be called on the spot: it reads its variables where it stands."""
    made = expression("lambda: value", value, value=value)
    made.is_thunk = True
    return made


@cache
def _parsed(template: str) -> Any:
    return gast.parse(template)


class _Filler(gast.NodeTransformer):
    def __init__(self, holes: dict[str, Hole], at: Node):
        self.holes = holes
        self.at = at
        self.used: set[str] = set()

    def generic_visit(self, node: Node) -> Node:
        gast.NodeTransformer.generic_visit(self, node)
        return placed(node, self.at) if "lineno" in node._attributes else node

    def _filling(self, name: str) -> Hole:
        self.used.add(name)
        return self.holes[name]

    def _renamed(self, name: str) -> str:
        if name not in self.holes:
            return name
        filling = self._filling(name)
        assert isinstance(filling, str)
        return filling

    def visit_Name(self, node: Any) -> Any:
        if node.id not in self.holes:
            return self.generic_visit(node)
        filling = self._filling(node.id)
        if isinstance(filling, str):
            node.id = filling
            return self.generic_visit(node)
        return filling

    def visit_Expr(self, node: Any) -> Any:
        if isinstance(node.value, gast.Name) and isinstance(self.holes.get(node.value.id), list):
            return self._filling(node.value.id)
        return self.generic_visit(node)

    def visit_FunctionDef(self, node: Any) -> Any:
        node.name = self._renamed(node.name)
        return self.generic_visit(node)

    def visit_Nonlocal(self, node: Any) -> Any:
        (name,) = node.names
        if name in self.holes:
            node.names = list(self._filling(name))
        return self.generic_visit(node) if node.names else []

    visit_Global = visit_Nonlocal

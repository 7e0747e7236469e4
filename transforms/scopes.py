"""Walks over one function's own statements, leaving out those of the functions and classes inside it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import gast

FUNCTIONS = (gast.FunctionDef, gast.AsyncFunctionDef)
LOOPS = (gast.For, gast.While, gast.AsyncFor)
SCOPES = (*FUNCTIONS, gast.Lambda, gast.ClassDef)
COMPREHENSIONS = (gast.ListComp, gast.SetComp, gast.DictComp, gast.GeneratorExp)


def walk_own(nodes: gast.AST | list[Any], stop: tuple[type, ...] = SCOPES) -> Iterator[Any]:
    """The nodes and everything in them, but not what is inside nodes of the types in `stop`."""
    for node in nodes if isinstance(nodes, list) else [nodes]:
        yield node
        if not isinstance(node, stop):
            for child in gast.iter_child_nodes(node):
                yield from walk_own(child, stop)


def statement_lists(statement: gast.AST) -> Iterator[list[Any]]:
    """The lists of statements directly inside a compound statement."""
    for field in ("body", "orelse", "finalbody"):
        block = getattr(statement, field, None)
        if isinstance(block, list):
            yield block
    for part in [*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())]:
        yield part.body


def map_blocks(statement: Any, change: Callable[[str, list[Any]], list[Any]]) -> Any:
    """A copy of a compound statement, each of its statement lists changed by `change(field, list)`."""
    statement = copy.copy(statement)
    for field in ("body", "orelse", "finalbody"):
        block = getattr(statement, field, None)
        if isinstance(block, list):
            setattr(statement, field, change(field, block))
    for field in ("handlers", "cases"):
        parts = getattr(statement, field, None)
        if isinstance(parts, list):
            setattr(statement, field, [map_blocks(part, change) for part in parts])
    return statement


def parameter_names(arguments: Any) -> list[str]:
    """The names of the parameters of a function, in the order in which the compiler numbers its variables."""
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    return [parameter.id for parameter in parameters if parameter is not None]


class OwnStatements(gast.NodeTransformer):
    """A base for passes that rewrite a function's own statements: what is defined inside is left alone."""

    def rewrite(self, function: Any) -> Any:
        """The function with its body rewritten."""
        function.body = self.generic_visit(gast.Module(function.body, [])).body
        return function

    def _skip(self, node: Any) -> Any:
        return node

    visit_FunctionDef = _skip
    visit_AsyncFunctionDef = _skip
    visit_ClassDef = _skip


class MethodsOnly(gast.NodeTransformer):
    """A base for passes that rewrite expressions: in a class only those of its methods.

    What they make may be a lambda, which does not see the names of a class body.
    """

    def visit_ClassDef(self, node: Any) -> Any:
        node.body = [
            self.visit(inner) if isinstance(inner, gast.FunctionDef | gast.ClassDef) else inner for inner in node.body
        ]
        return node


def mark_owners(tree: Any, owner: str | None) -> None:
    """Give every function in a tree an attribute `owner`: the name of the class whose private names it sees."""
    for child in gast.iter_child_nodes(tree):
        if isinstance(child, FUNCTIONS):
            child.owner = owner
        mark_owners(child, child.name if isinstance(child, gast.ClassDef) else owner)


def map_functions(tree: Any, change: Callable[[Any], Any]) -> Any:
    """Replace each function definition by `change` of it, inner ones first."""

    class Mapper(gast.NodeTransformer):
        def visit_FunctionDef(self, node: Any) -> Any:
            self.generic_visit(node)
            return change(node)

        visit_AsyncFunctionDef = visit_FunctionDef

    return Mapper().visit(tree)

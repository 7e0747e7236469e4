"""Compiles generated source, and lets tracebacks and debuggers show it."""

from __future__ import annotations

import ast
import itertools
import linecache
from functools import reduce
from typing import Any

_counter = itertools.count(1)


def run_source(source: str, what: str, namespace: dict[str, Any]) -> None:
    """Run source in a namespace, under a file name that says what it is and that no other code has."""
    filename = show_source(source, f"<d2s {what} {next(_counter)}>")
    tree = _Lookups(namespace).visit(ast.parse(source, filename))
    exec(compile(tree, filename, "exec"), namespace)


def show_source(source: str, filename: str) -> str:
    """Have source be found by tracebacks under this file name, which it gives back."""
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    return filename


class _Lookups(ast.NodeTransformer):
    """Looks up what stands in torch's modules and classes once, not at each run.

    `torch.nn.functional.linear` becomes one name in the namespace, which is that text.
    """

    def __init__(self, namespace: dict[str, Any]):
        self._namespace = namespace

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        names: list[str] = []
        part: ast.expr = node
        while isinstance(part, ast.Attribute):
            names.insert(0, part.attr)
            part = part.value
        if not isinstance(part, ast.Name) or part.id != "torch" or not isinstance(node.ctx, ast.Load):
            return self.generic_visit(node)
        name = ".".join(["torch", *names])
        self._namespace[name] = reduce(getattr, names, self._namespace["torch"])
        return ast.copy_location(ast.Name(name, ast.Load()), node)

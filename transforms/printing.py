"""Prints a tree as Python source. All of the project's printing of code goes through `to_source`."""

from __future__ import annotations

import ast
from typing import Any

import astor
import gast
from astor.code_gen import SourceGenerator


def to_source(tree: gast.AST) -> str:
    """The source of a gast tree, with a newline at its end."""
    plain = gast.gast_to_ast(tree)
    return str(astor.to_source(plain, source_generator_class=_Generator, pretty_source="".join))


class _Generator(SourceGenerator):
    """astor's generator, which knows Python up to 3.8, and the nodes that came later."""

    def _fallback(self, node: ast.AST) -> None:
        """Print a node that astor does not know with the standard library's unparser."""
        for line in ast.unparse(node).splitlines():
            self.newline(extra=0)
            self.write(line)

    visit_Match = _fallback
    visit_TryStar = _fallback

    def visit_Constant(self, node: Any) -> None:
        """Print constants as `repr` does, which loses no digit of a number."""
        text = "..." if node.value is ... else repr(node.value)
        self.write(text.replace("inf", "1e999") if isinstance(node.value, float | complex) else text)

    def visit_JoinedStr(self, node: Any) -> None:
        self.write(ast.unparse(node))

    def visit_Attribute(self, node: Any) -> None:
        number = isinstance(node.value, ast.Constant) and type(node.value.value) is int
        self.write(*("(", node.value, ")") if number else (node.value,), ".", node.attr)

"""Prints a tree as Python source. All of the project's printing of code goes through `to_source`."""

from __future__ import annotations

import ast
from typing import Any

import astor
import gast
from astor.code_gen import SourceGenerator, set_precedence
from astor.op_util import Precedence


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

    def visit_Dict(self, node: Any) -> None:
        """Print what is unpacked, as in `{**(a or b)}`, in parentheses where it needs them."""
        with self.delimit("{}"):
            for number, (key, value) in enumerate(zip(node.keys, node.values, strict=True)):
                self.write(", " if number else "")
                if key is None:
                    self.write("**", *_as_operand(value))
                else:
                    set_precedence(Precedence.Comma, value)
                    self.write(key, ": ", value)

    def visit_Starred(self, node: Any) -> None:
        self.write("*", *_as_operand(node.value))

    def visit_Attribute(self, node: Any) -> None:
        number = isinstance(node.value, ast.Constant) and type(node.value.value) is int
        self.write(*("(", node.value, ")") if number else (node.value,), ".", node.attr)


def _as_operand(node: Any) -> tuple[Any, ...]:
    """What to write for an expression where Python takes no `and`, `or`, `not`, comparison, `if` or lambda."""
    loose = isinstance(node, ast.BoolOp | ast.Compare | ast.IfExp | ast.Lambda | ast.UnaryOp)
    return ("(", node, ")") if loose else (node,)

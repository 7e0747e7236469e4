"""Sends every call through the operator that knows the converted form of what is called.

y = f(x, *rest)                 ->  y = _d2s.call(f)(x, *rest)
items.append(x)                 ->  _d2s.call(items.append)(x)
kind.__dict__                   ->  _d2s.own_dict(kind)
thing.__class__                 ->  _d2s.own_class(thing)
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import MethodsOnly
from d2s.transforms.supers import is_bare_super
from d2s.transforms.tails import is_tail_call
from d2s.transforms.templates import expression

# The attributes that an operator answers.
_OWN = {"__dict__": "own_dict", "__class__": "own_class"}


def transform(node: Any, context: Context) -> Any:
    """Rewrite the calls in the functions of a tree."""
    return _Calls().visit(node)


def is_operator(function: Any) -> bool:
    """Whether an expression names a conversion operator."""
    return (
        isinstance(function, gast.Attribute)
        and isinstance(function.value, gast.Name)
        and function.value.id == OPERATORS
    )


class _Calls(MethodsOnly):
    def _visit_definition(self, node: Any) -> Any:
        """Defaults and decorators belong to the code around a function, and run when it is defined."""
        node.body = [self.visit(statement) for statement in node.body]
        return node

    visit_FunctionDef = _visit_definition
    visit_AsyncFunctionDef = _visit_definition

    def visit_Call(self, node: Any) -> Any:
        self.generic_visit(node)
        function = node.func
        if is_operator(function) or is_bare_super(node):
            return node
        name = "tail_call" if is_tail_call(node) else "call"
        node.func = expression(f"operators.{name}(function)", node, operators=OPERATORS, function=function)
        return node

    def visit_Attribute(self, node: Any) -> Any:
        self.generic_visit(node)
        name = _OWN.get(node.attr)
        if name is None or not isinstance(node.ctx, gast.Load):
            return node
        return expression(f"operators.{name}(thing)", node, operators=OPERATORS, thing=node.value)

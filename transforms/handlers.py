"""Marks where an exception would be caught or seen: the bodies of `try`, and what `with` enters.

try:                            try:
    y = f(x)                        with _d2s.handling(lambda: ValueError):
except ValueError:      ->              y = f(x)
    y = x                       except _d2s.Unwinding:
                                    raise
                                except ValueError:
                                    y = x

with lock as held:      ->      with _d2s.entered(lock) as held:
    ...                             ...

What unwinds the recording passes through all of them. A `finally` that would swallow it is skipped then.
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import OwnStatements, map_functions
from d2s.transforms.templates import expression, placed, statements, thunk


def transform(node: Any, context: Context) -> Any:
    """Rewrite every `try` and `with` in the functions of a tree."""
    return map_functions(node, lambda function: _Handlers().rewrite(function))


class _Handlers(OwnStatements):
    def visit_Try(self, node: Any) -> Any:
        at = node.body[0]
        self._mark(node, "handling", _caught(node))
        if node.handlers:
            first = statements("try: pass\nexcept operators.Unwinding: raise", at, operators=OPERATORS)
            node.handlers = [*first[0].handlers, *node.handlers]
        return node

    def visit_TryStar(self, node: Any) -> Any:
        self._mark(node, "handling_groups", _caught(node))
        return node

    def _mark(self, node: Any, manager: str, classes: Any) -> None:
        caught = thunk(classes)
        self.generic_visit(node)
        template = f"with operators.{manager}(caught{', True' if node.finalbody else ''}): body"
        node.body = statements(template, node.body[0], operators=OPERATORS, caught=caught, body=node.body)
        if node.finalbody:
            template = "if not operators.unwinding(): body"
            node.finalbody = statements(template, node.finalbody[0], operators=OPERATORS, body=node.finalbody)

    def visit_With(self, node: Any) -> Any:
        self.generic_visit(node)
        for item in node.items:
            manager = item.context_expr
            item.context_expr = expression(
                "operators.entered(manager)", manager, operators=OPERATORS, manager=manager
            )
        return node


def _caught(node: Any) -> Any:
    """The expression of the exceptions that a `try` catches."""
    if any(handler.type is None for handler in node.handlers):
        return expression("operators.ANYTHING", node.body[0], operators=OPERATORS)
    types = [handler.type for handler in node.handlers]
    return types[0] if len(types) == 1 else placed(gast.Tuple(types, gast.Load()), node.body[0])

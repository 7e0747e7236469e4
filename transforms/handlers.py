"""Marks where an exception would be caught or seen: the bodies of `try`, and what `with` enters.

try:                            try:
    y = f(x)                        with _d2s.handling():
except ValueError:      ->              y = f(x)
    y = x                       except ValueError:
                                    y = x

with lock as held:      ->      with _d2s.entered(lock) as held:
    ...                             ...
"""

from __future__ import annotations

from typing import Any

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import OwnStatements, map_functions
from d2s.transforms.templates import expression, statements


def transform(node: Any, context: Context) -> Any:
    """Rewrite every `try` and `with` in the functions of a tree."""
    return map_functions(node, lambda function: _Handlers().rewrite(function))


class _Handlers(OwnStatements):
    def visit_Try(self, node: Any) -> Any:
        self.generic_visit(node)
        template = "with operators.handling(): body"
        node.body = statements(template, node.body[0], operators=OPERATORS, body=node.body)
        return node

    def visit_With(self, node: Any) -> Any:
        self.generic_visit(node)
        for item in node.items:
            manager = item.context_expr
            item.context_expr = expression(
                "operators.entered(manager)", manager, operators=OPERATORS, manager=manager
            )
        return node

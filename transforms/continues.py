"""Removes `continue`: what follows it in the loop's body is guarded.

for x in items:                 for x in items:
    if x < 0:                       if x < 0:
        continue        ->              pass
    total += x                      else:
                                        total += x
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import Context
from d2s.transforms.exits import ExitLowering, map_lowerable
from d2s.transforms.scopes import OwnStatements
from d2s.transforms.templates import statements


def transform(node: Any, context: Context) -> Any:
    """Rewrite every loop in the functions of a tree that has a `continue`."""
    return map_lowerable(node, gast.Continue, lambda function: _Loops(context).rewrite(function))


class _Continues(ExitLowering):
    exit_type = gast.Continue

    def lower_exit(self, node: Any) -> list[Any]:
        if self.flag:
            return statements("flag = True", node, flag=self.flag)
        return [gast.copy_location(gast.Pass(), node)]


class _Loops(OwnStatements):
    """Rewrites the loops of one function, inner ones first."""

    def __init__(self, context: Context):
        self.context = context

    def visit_While(self, node: Any) -> Any:
        self.generic_visit(node)
        if not any(map(_Continues("").has_exit, node.body)):
            return node
        plain = _Continues("")
        body = plain.lower(node.body)
        if plain.flag_used:
            flag = self.context.namer.fresh("_continued")
            body = [*statements("flag = False", node, flag=flag), *_Continues(flag).lower(node.body)]
        node.body = body
        return node

    visit_For = visit_While

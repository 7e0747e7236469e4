"""Gives `super()` its arguments: the function that the call ends up in has no first parameter to look at.

def f(self, x):                         def f(self, x):
    return super().f(x)         ->          return super(__class__, self).f(x)
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import Context
from d2s.transforms.scopes import FUNCTIONS, map_functions, walk_own
from d2s.transforms.templates import expression


def transform(node: Any, context: Context) -> Any:
    """Rewrite the bare `super()` calls of every method in a tree."""
    return map_functions(node, _transform_function)


def _transform_function(function: Any) -> Any:
    parameters = [*function.args.posonlyargs, *function.args.args]
    if not parameters:
        return function
    for node in walk_own(function.body, (*FUNCTIONS, gast.ClassDef)):
        if is_bare_super(node):
            first = expression("first", node, first=parameters[0].id)
            node.args = [expression("__class__", node), first]
    return function


def is_bare_super(node: Any) -> bool:
    """Whether this is `super()`, which looks at the names of the function that it stands in."""
    named = isinstance(node, gast.Call) and isinstance(node.func, gast.Name) and node.func.id == "super"
    return named and not (node.args or node.keywords)

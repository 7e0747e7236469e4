"""Declares the variables that only the regions of a function bind, so that the function owns them.

def f(x):                       def f(x):
    def if_true():                  y: object
        nonlocal y      ->          def if_true():
        y = x                           nonlocal y
    ...                                 y = x
                                    ...
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.activity import bound_names, declared_elsewhere
from d2s.transforms.context import Context
from d2s.transforms.scopes import FUNCTIONS, map_functions, parameter_names, walk_own
from d2s.transforms.templates import statements


def transform(node: Any, context: Context) -> Any:
    """Add the declarations to every function in a tree that needs them."""
    return map_functions(node, _declare)


def _declare(function: Any) -> Any:
    known = set(parameter_names(function.args))
    known |= bound_names(function.body).keys() | declared_elsewhere(function)
    wanted = {
        name: inner
        for inner in walk_own(function.body)
        if isinstance(inner, FUNCTIONS) and getattr(inner, "is_region", False)
        for statement in inner.body
        if isinstance(statement, gast.Nonlocal)
        for name in statement.names
        if name not in known
    }
    declarations = [statements("name: object", inner, name=name)[0] for name, inner in wanted.items()]
    # A nonlocal statement must come before any use of its names.
    at = sum(isinstance(statement, gast.Nonlocal | gast.Global) for statement in function.body[:2])
    function.body[at:at] = declarations
    return function

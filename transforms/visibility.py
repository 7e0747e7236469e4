"""Has the regions of a function see all of its variables, for a debugger that stops in one.

def f(x, y):                    def f(x, y):
    def if_true():                  def if_true():
        nonlocal x      ->              nonlocal x
        x = 1                           x = 1
                                        if False:
                                            x, y

Only compiled code has this, where it costs no instruction: a function holds the variables around it that it names.
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.activity import bound_names, declared_elsewhere
from d2s.transforms.scopes import FUNCTIONS, parameter_names, walk_own


def show_variables(function: Any, outside: frozenset[str] = frozenset()) -> None:
    """Change a function with all functions in it; `outside` are the variables around it, if it is a region."""
    if getattr(function, "is_region", False):
        function.body.append(_mention(sorted(outside), function))
        seen = outside
    else:
        seen = frozenset()
    seen |= set(parameter_names(function.args))
    inner_functions = [node for node in walk_own(function.body) if isinstance(node, FUNCTIONS)]
    regions = {inner.name for inner in inner_functions if getattr(inner, "is_region", False)}
    seen |= bound_names(function.body).keys() - declared_elsewhere(function) - regions
    for inner in inner_functions:
        show_variables(inner, seen)


def _mention(names: list[str], place: Any) -> Any:
    loads = [gast.Name(name, gast.Load(), None, None) for name in names]
    return gast.copy_location(
        gast.If(gast.Constant(False, None), [gast.Expr(gast.Tuple(loads, gast.Load()))], []), place
    )

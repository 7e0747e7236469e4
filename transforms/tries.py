"""Makes a function of a `try`, so that its paths, which differ in what is raised, join at its end.

try:                            def attempt():
    y = f(x)                        nonlocal y
except ValueError:      ->          try:
    y = x                               y = f(x)
                                    except ValueError:
                                        y = x
                                _d2s.joined(attempt, ("y",))
"""

from __future__ import annotations

from typing import Any

from d2s.transforms.context import Context
from d2s.transforms.regions import FunctionRegions, name_of, operator_call, shared_names
from d2s.transforms.scopes import map_functions


def transform(node: Any, context: Context) -> Any:
    """Rewrite every `try` in the functions of a tree that control does not leave, and that catches something."""
    return map_functions(node, lambda function: _Tries(function, context).rewrite(function))


class _Tries(FunctionRegions):
    def visit_Try(self, node: Any) -> Any:
        self.generic_visit(node)
        if not node.handlers or self.is_left_early([node]):
            return node
        attempt = self.region("attempt", [node], node.activity)
        return [attempt, operator_call("joined", [name_of(attempt), *shared_names(node.activity)], node)]

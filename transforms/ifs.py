"""Makes the branches of an `if` functions, and the `if` a call of the operator that chooses between them.

    if x > 0:                       def if_true():
        y = x                           nonlocal y
    else:                               y = x
        y = -x          ->          def if_false():
                                        nonlocal y
                                        y = -x
                                    _d2s.if_(x > 0, if_true, if_false, ("y",))

The names are those of the variables that the branches bind and that are needed after; a second tuple names
those that are only needed inside.
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import Context
from d2s.transforms.regions import FunctionRegions, name_of, operator_call, shared_names
from d2s.transforms.scopes import map_functions


def transform(node: Any, context: Context) -> Any:
    """Rewrite every `if` in the functions of a tree that control does not leave."""
    return map_functions(node, lambda function: _Ifs(function, context).rewrite(function))


class _Ifs(FunctionRegions):
    def visit_If(self, node: Any) -> Any:
        self.generic_visit(node)
        if self.is_left_early([*node.body, *node.orelse]):
            return node
        activity = node.activity
        if_true = self.region("if_true", node.body, activity)
        sides = [if_true]
        arguments = [node.test, name_of(if_true)]
        if node.orelse:
            if_false = self.region("if_false", node.orelse, activity)
            sides.append(if_false)
            arguments.append(name_of(if_false))
        else:
            arguments.append(gast.Constant(None, None))
        return [*sides, operator_call("if_", [*arguments, *shared_names(activity)], node)]

"""Makes the test and the body of a loop functions, and the loop a call of the operator that runs them.

    while x > 0:                    def loop_test():
        x = f(x)                        return x > 0
                        ->          def loop_body():
                                        nonlocal x
                                        x = f(x)
                                    _d2s.while_(loop_test, loop_body, ("x",))

    for v in items:                 def loop_body(item):
        total = total + v               nonlocal total
                        ->              v = item
                                        total = total + v
                                    _d2s.for_(items, loop_body, ("total",))

The names are those of the variables that the loop binds and that another trip, or what follows, needs.
"""

from __future__ import annotations

from typing import Any

from d2s.transforms.context import Context
from d2s.transforms.regions import FunctionRegions, name_of, names_tuple, operator_call
from d2s.transforms.scopes import map_functions
from d2s.transforms.templates import statements


def transform(node: Any, context: Context) -> Any:
    """Rewrite every loop in the functions of a tree that control does not leave."""
    return map_functions(node, lambda function: _Loops(function, context).rewrite(function))


class _Loops(FunctionRegions):
    def visit_While(self, node: Any) -> Any:
        self.generic_visit(node)
        if self.is_left_early([*node.body, node.test]):
            return node
        answer = statements("return test", node.test, test=node.test)
        test = self.region("loop_test", answer, node.activity)
        body = self.region("loop_body", node.body, node.activity)
        arguments = [name_of(test), name_of(body), names_tuple(node.activity.carried)]
        return [test, body, operator_call("while_", arguments, node)]

    def visit_For(self, node: Any) -> Any:
        self.generic_visit(node)
        if self.is_left_early(node.body):
            return node
        item = self.context.namer.fresh("item")
        bind = statements("target = item", node.target, target="target", item=item)
        bind[0].targets = [node.target]
        body = self.region("loop_body", [*bind, *node.body], node.activity, [item])
        arguments = [node.iter, name_of(body), names_tuple(node.activity.carried)]
        return [body, operator_call("for_", arguments, node)]

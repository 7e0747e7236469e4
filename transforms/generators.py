"""Gives a generator function a second form, which hands its items on instead of suspending at each.

def f(x):                       def f(x):
    while x > 0:                    def pushed(emit):
        yield x                         nonlocal x
        x = x - 1                       while x > 0:
                        ->                  if _d2s.emitted(emit, x): return
                                            x = x - 1
                                    def pulled():
                                        nonlocal x
                                        while x > 0:
                                            yield x
                                            x = x - 1
                                    return _d2s.generator(pushed, pulled)

`emitted` answers whether no more items are wanted. A generator that is sent values, or that suspends inside `try` or
`with`, where the exceptions of those who use it would come through, keeps its one form.
"""

from __future__ import annotations

import copy
from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import OwnStatements, map_functions, parameter_names, walk_own
from d2s.transforms.templates import statements

_YIELDS = (gast.Yield, gast.YieldFrom)
_GUARDED = (gast.Try, gast.With, gast.AsyncWith)


def transform(node: Any, context: Context) -> Any:
    """Rewrite every generator function in a tree whose items can be handed on."""
    return map_functions(node, lambda function: _transform_function(function, context))


def _transform_function(function: Any, context: Context) -> Any:
    if not isinstance(function, gast.FunctionDef) or not _can_hand_on(function.body):
        return function
    bound = {node.id for node in walk_own(function.body) if isinstance(node, gast.Name) and _is_bound(node)}
    shared = [name for name in parameter_names(function.args) if name in bound]
    emit = context.namer.fresh("emit")
    handing_on = _HandingOn(emit).generic_visit(gast.Module(copy.deepcopy(function.body), [])).body
    function.body = statements(
        """
def pushed(emit):
    nonlocal shared
    handing_on
def pulled():
    nonlocal shared
    suspending
return operators.generator(pushed, pulled)
""",
        function,
        pushed=context.namer.fresh("pushed"),
        pulled=context.namer.fresh("pulled"),
        emit=emit,
        shared=shared,
        handing_on=handing_on,
        suspending=function.body,
        operators=OPERATORS,
    )
    return function


def _is_bound(name: Any) -> bool:
    return isinstance(name.ctx, gast.Store | gast.Del)


def _can_hand_on(body: list[Any]) -> bool:
    """Whether a function yields, in statements of their own only, and none of them guarded."""
    yields = [node for node in walk_own(body) if isinstance(node, _YIELDS)]
    alone = [node.value for node in walk_own(body) if isinstance(node, gast.Expr) and isinstance(node.value, _YIELDS)]
    guarded = [inner for node in walk_own(body) if isinstance(node, _GUARDED) for inner in walk_own(node.body)]
    return bool(yields) and len(yields) == len(alone) and not any(node in guarded for node in yields)


class _HandingOn(OwnStatements):
    """Makes each `yield` of a function a call, after which it may end."""

    def __init__(self, emit: str):
        self.emit = emit

    def visit_Expr(self, node: Any) -> Any:
        if not isinstance(node.value, _YIELDS):
            return node
        operator = "emitted" if isinstance(node.value, gast.Yield) else "emitted_all"
        value = node.value.value or gast.copy_location(gast.Constant(None, None), node)
        template = f"if operators.{operator}(emit, value): return"
        return statements(template, node, operators=OPERATORS, emit=self.emit, value=value)

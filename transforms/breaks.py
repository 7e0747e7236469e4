"""Removes `break` and the `else` of loops: a flag ends the loop and guards what follows.

for x in items:                 _broke = False
    if x > 0:                   for x in _d2s.until(lambda: _broke, items):
        break           ->          if x > 0:
    total += x                          _broke = True
else:                               else:
    total = 0                           total += x
                                if not _broke:
                                    total = 0
"""

from __future__ import annotations

import copy
from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.exits import ExitLowering, map_lowerable
from d2s.transforms.scopes import OwnStatements
from d2s.transforms.templates import expression, statements, thunk


def transform(node: Any, context: Context) -> Any:
    """Rewrite every loop in the functions of a tree that has a `break` or an `else`."""
    return map_lowerable(node, gast.Break, lambda function: _Loops(context).rewrite(function))


class _Breaks(ExitLowering):
    exit_type = gast.Break

    def lower_exit(self, node: Any) -> list[Any]:
        return statements("flag = True", node, flag=self.flag)


class _Loops(OwnStatements):
    """Rewrites the loops of one function, inner ones first."""

    def __init__(self, context: Context):
        self.context = context

    def visit_While(self, node: Any) -> Any:
        self.generic_visit(node)
        return self._rewrite(node)

    visit_For = visit_While

    def _rewrite(self, loop: Any) -> Any:
        breaks = _Breaks("")
        if not any(map(breaks.has_exit, loop.body)):
            orelse, loop.orelse = loop.orelse, []
            return [loop, *orelse]
        breaks.flag = flag = self.context.namer.fresh("_broke")
        loop = copy.copy(loop)
        loop.body = breaks.lower(loop.body)
        if isinstance(loop, gast.While):
            loop.test = _conjunction(flag, loop.test)
        else:
            stop = thunk(expression("flag", loop.iter, flag=flag))
            template = "operators.until(stop, items)"
            loop.iter = expression(template, loop.iter, operators=OPERATORS, stop=stop, items=loop.iter)
        lowered = [*statements("flag = False", loop, flag=flag), loop]
        if loop.orelse:
            orelse, loop.orelse = loop.orelse, []
            lowered += statements("if not flag: orelse", orelse[0], flag=flag, orelse=orelse)
        return lowered


def _conjunction(flag: str, test: Any) -> Any:
    """`not flag and test`, shorter where the test is a constant."""
    if isinstance(test, gast.Constant) and test.value:
        return expression("not flag", test, flag=flag)
    return expression("not flag and test", test, flag=flag, test=test)

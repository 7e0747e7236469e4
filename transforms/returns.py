"""Removes early returns: control reaches the end of a function, where its one `return` stands.

    def f(x):                       def f(x):
        if x > 0:                       if x > 0:
            return x                        _result = x
        x = x + 1           ->          else:
        return x * 2                        x = x + 1
                                            _result = x * 2
                                        return _result

A return inside a loop, a `with` or a `try` sets a flag as well, and leaves the loop by `break`.
"""

from __future__ import annotations

import copy
from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.exits import ExitLowering, map_lowerable
from d2s.transforms.scopes import LOOPS, map_blocks, walk_own
from d2s.transforms.templates import statements


def transform(node: Any, context: Context) -> Any:
    """Rewrite every function in a tree that has an early return."""
    return map_lowerable(node, gast.Return, lambda function: _transform_function(function, context))


def is_generator(function: Any) -> bool:
    """Whether calling the function makes a generator."""
    return any(isinstance(inner, gast.Yield | gast.YieldFrom) for inner in walk_own(function.body))


def _transform_function(function: Any, context: Context) -> Any:
    has_return = _Returns("", "").has_exit
    early = any(has_return(node) for node in function.body if not isinstance(node, gast.Return))
    if not early or is_generator(function):
        return function
    lowering = _Returns(context.namer.fresh("_returned"), context.namer.fresh("_result"))
    end = statements("return None", function.body[-1])
    body = lowering.lower(function.body + end)
    start: list[Any] = []
    if lowering.flag_used:
        start = statements(
            "flag = False\nresult = operators.UNSET",
            function.body[0],
            flag=lowering.flag,
            result=lowering.result,
            operators=OPERATORS,
        )
    else:
        body = _without_assignments(body, lowering.flag)
    function.body = [*start, *body, *statements("return result", end[0], result=lowering.result)]
    return function


class _Returns(ExitLowering):
    exit_type = gast.Return
    enters_loops = True

    def __init__(self, flag: str, result: str):
        super().__init__(flag)
        self.result = result

    def lower_exit(self, node: Any) -> list[Any]:
        value = node.value or gast.copy_location(gast.Constant(None, None), node)
        return statements("result = value\nflag = True", node, result=self.result, value=value, flag=self.flag)

    def lower_loop(self, loop: Any) -> Any:
        """Inside a loop a return is a break; the loop's own guard follows where the loop stands."""
        self.flag_used = True
        loop = copy.copy(loop)
        loop.body = self._in_loop(loop.body)
        loop.orelse = self.lower(loop.orelse)
        return loop

    def _in_loop(self, block: list[Any]) -> list[Any]:
        lowered: list[Any] = []
        for node in block:
            if isinstance(node, gast.Return):
                return lowered + self.lower_exit(node) + statements("break", node)
            if not self.has_exit(node):
                lowered.append(node)
                continue
            lowered.append(map_blocks(node, lambda _, inner: self._in_loop(inner)))
            if isinstance(node, LOOPS):
                lowered += statements("if flag: break", node, flag=self.flag)
        return lowered


def _without_assignments(block: list[Any], name: str) -> list[Any]:
    """The statements without those that set a flag that nothing reads."""

    class Remover(gast.NodeTransformer):
        def visit_Assign(self, node: Any) -> Any:
            target = node.targets[0]
            return None if isinstance(target, gast.Name) and target.id == name else node

    remover = Remover()
    return [kept for node in block if (kept := remover.visit(node)) is not None]

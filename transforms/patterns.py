"""Makes the flags in patterns guards: a pattern asks by identity, and no bool of the run is `True` itself.

case (True, k) if k > 0:            ->  case (flag, k) if flag is True and k > 0:
case True | None:                   ->  case flag if flag is True:
                                        case None:
"""

from __future__ import annotations

import copy
from typing import Any

import gast

from d2s.transforms.context import Context
from d2s.transforms.templates import expression


def without_flags(node: Any, context: Context) -> Any:
    """Rewrite every `match` in a tree."""
    return _Flags(context).visit(node)


def _is_flag(pattern: Any) -> bool:
    return isinstance(pattern, gast.MatchSingleton) and isinstance(pattern.value, bool)


def _apart(case: Any) -> list[Any]:
    """The same case as several, in whose patterns no flag is one of some alternatives."""
    for inner in gast.walk(case.pattern):
        if isinstance(inner, gast.MatchOr) and any(map(_is_flag, gast.walk(inner))):
            each = (copy.deepcopy(case, {id(inner): copy.deepcopy(pattern)}) for pattern in inner.patterns)
            return [last for one in each for last in _apart(one)]
    return [case]


class _Flags(gast.NodeTransformer):
    def __init__(self, context: Context) -> None:
        self._context = context
        self._tests: list[Any] = []

    def visit_Match(self, node: Any) -> Any:
        node.cases = [one for case in node.cases for one in _apart(case)]
        return self.generic_visit(node)

    def visit_match_case(self, node: Any) -> Any:
        self._tests = []
        node.pattern = self.visit(node.pattern)
        if self._tests:
            tests = self._tests if node.guard is None else [*self._tests, node.guard]
            node.guard = tests[0] if len(tests) == 1 else gast.copy_location(gast.BoolOp(gast.And(), tests), tests[0])
        node.body = [self.visit(statement) for statement in node.body]
        return node

    def visit_MatchSingleton(self, node: Any) -> Any:
        if not _is_flag(node):
            return node
        name = self._context.namer.fresh("flag")
        self._tests.append(expression(f"{name} is {node.value}", node))
        return gast.copy_location(gast.MatchAs(None, name), node)

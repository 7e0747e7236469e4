"""Makes comprehensions and generator expressions calls of conversion operators.

    [f(v) for v in x if v > 0]          ->  _d2s.listed(x, lambda v: f(v), lambda v: v > 0)
    {v: w for v, w in pairs}            ->  _d2s.dict_(_d2s.listed(pairs, lambda v, w: (v, w), unpacks=2))
    (w for v in x for w in v)           ->  _d2s.generated(x, lambda v: _d2s.generated(v, lambda w: w), nested=True)

The variables become parameters, so one that holds a function is left as it is: that function would see the variable's
last value. So is one that assigns (`:=`) or suspends, or whose targets are more than names in a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import MethodsOnly
from d2s.transforms.templates import expression

_ASSIGN_OR_SUSPEND = (gast.NamedExpr, gast.Yield, gast.YieldFrom, gast.Await, gast.Lambda)


def transform(node: Any, context: Context) -> Any:
    """Rewrite the comprehensions in the functions of a tree."""
    return _Comprehensions().visit(node)


def _names(target: Any) -> list[str] | None:
    """The names of a target, None if it is more than names in a row."""
    targets = target.elts if isinstance(target, gast.Tuple | gast.List) else [target]
    return [part.id for part in targets] if all(isinstance(part, gast.Name) for part in targets) else None


def _can_be_calls(node: Any) -> bool:
    if any(generator.is_async or _names(generator.target) is None for generator in node.generators):
        return False
    given = [arg for call in gast.walk(node) if isinstance(call, gast.Call) for arg in call.args]
    return not any(
        isinstance(inner, _ASSIGN_OR_SUSPEND) or (isinstance(inner, gast.GeneratorExp) and inner not in given)
        for inner in gast.walk(node)
        if inner is not node
    )


def _function(generator: Any, body: Any) -> Any:
    """A lambda of the variables of one `for`."""
    made = expression("lambda: body", body, body=body)
    for name in _names(generator.target) or ():
        made.args.args.append(gast.copy_location(gast.Name(name, gast.Param(), None, None), generator.target))
    return made


class _Comprehensions(MethodsOnly):
    def _rewritten(self, node: Any, name: str, element: Any) -> Any:
        """Calls of an operator, one in the other."""
        for number, generator in reversed(list(enumerate(node.generators))):
            call = expression(f"operators.{name}()", node, operators=OPERATORS)
            call.args = [generator.iter, _function(generator, element)]
            if generator.ifs:
                first, *more = generator.ifs
                test = gast.copy_location(gast.BoolOp(gast.And(), generator.ifs), first) if more else first
                call.args.append(_function(generator, test))
            keywords: dict[str, Any] = {"nested": number < len(node.generators) - 1}
            if not isinstance(generator.target, gast.Name):
                keywords["unpacks"] = len(generator.target.elts)
            call.keywords = [
                gast.keyword(key, gast.Constant(value, None)) for key, value in keywords.items() if value
            ]
            element = call
        return element

    def _visit(self, node: Any, name: str, element: Callable[[Any], Any], collect: str | None = None) -> Any:
        """The call for a comprehension, in one of `collect` if that is what it makes."""
        possible = _can_be_calls(node)
        self.generic_visit(node)
        if not possible:
            return node
        made = self._rewritten(node, name, element(node))
        if collect is None:
            return made
        call = expression(f"operators.{collect}()", node, operators=OPERATORS)
        call.args = [made]
        return call

    def visit_ListComp(self, node: Any) -> Any:
        return self._visit(node, "listed", _element)

    def visit_GeneratorExp(self, node: Any) -> Any:
        return self._visit(node, "generated", _element)

    def visit_SetComp(self, node: Any) -> Any:
        return self._visit(node, "listed", _element, "set_")

    def visit_DictComp(self, node: Any) -> Any:
        return self._visit(node, "listed", _pair, "dict_")


def _element(node: Any) -> Any:
    return node.elt


def _pair(node: Any) -> Any:
    return gast.copy_location(gast.Tuple([node.key, node.value], gast.Load()), node)

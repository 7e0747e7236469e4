"""Makes comprehensions and generator expressions calls of conversion operators.

    [f(v) for v in x if v > 0]          ->  _d2s.listed(x, lambda v: f(v), lambda v: v > 0)
    {v: w for v, w in pairs}            ->  _d2s.dict_(_d2s.listed(pairs, lambda v, w: (v, w), unpacks=2))
    (w for v in x for w in v)           ->  _d2s.generated(x, lambda v: _d2s.generated(v, lambda w: w), nested=True)

The variables become parameters, so one that holds a function is left as it is: that function would see the variable's
last value. So is one that assigns (`:=`) or suspends, or whose targets are more than names in a row.
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
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
    if isinstance(node, gast.DictComp) and any(isinstance(part, gast.Starred) for part in (node.key, node.value)):
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
    targets = generator.target.elts if isinstance(generator.target, gast.Tuple | gast.List) else [generator.target]
    for target in targets:
        made.args.args.append(gast.copy_location(gast.Name(target.id, gast.Param(), None, None), target))
    return made


class _Comprehensions(gast.NodeTransformer):
    def visit_ClassDef(self, node: Any) -> Any:
        """Lambdas don't see the names of a class body: only the methods are rewritten."""
        node.body = [
            self.visit(inner) if isinstance(inner, gast.FunctionDef | gast.ClassDef) else inner for inner in node.body
        ]
        return node

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

    def visit_ListComp(self, node: Any) -> Any:
        possible = _can_be_calls(node)
        self.generic_visit(node)
        return self._rewritten(node, "listed", node.elt) if possible else node

    def visit_GeneratorExp(self, node: Any) -> Any:
        possible = _can_be_calls(node)
        self.generic_visit(node)
        return self._rewritten(node, "generated", node.elt) if possible else node

    def _collected(self, node: Any, collect: str, element: Any) -> Any:
        made = expression(f"operators.{collect}()", node, operators=OPERATORS)
        made.args = [self._rewritten(node, "listed", element)]
        return made

    def visit_SetComp(self, node: Any) -> Any:
        possible = _can_be_calls(node)
        self.generic_visit(node)
        return self._collected(node, "set_", node.elt) if possible else node

    def visit_DictComp(self, node: Any) -> Any:
        possible = _can_be_calls(node)
        self.generic_visit(node)
        pair = gast.copy_location(gast.Tuple([node.key, node.value], gast.Load()), node)
        return self._collected(node, "dict_", pair) if possible else node

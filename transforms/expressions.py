"""Makes the decisions inside expressions calls of conversion operators.

    y = a and b or not c                ->  y = _d2s.or_(_d2s.and_(a, lambda: b), lambda: _d2s.not_(c))
    y = a if x > 0 else b               ->  y = _d2s.if_expression(x > 0, lambda: a, lambda: b)
    y = 0 < x < 1                       ->  y = _d2s.compare(0, "<", lambda: x, "<", lambda: 1)
    y = a in b                          ->  y = _d2s.contains(b, a)
    y = a is b                          ->  y = _d2s.is_(a, b)
    y = f"at {x:.2f}"                   ->  y = _d2s.text("at ", _d2s.formatted(x, None, ".2f"))
    y = "at %d" % x                     ->  y = _d2s.percent("at %d", x)
    y = x[i]                            ->  y = _d2s.get_item(x, i)
    y = [a]                             ->  y = _d2s.display([a])
    case True:                          ->  case flag if _d2s.is_(flag, True):
    assert x > 0, "negative"            ->  if not x > 0: raise AssertionError("negative")

An operand that may not run becomes a lambda. Where only the truth of `and` and `or` is asked, as in the test
of an `if`, they become `and_test` and `or_test`. An operand that assigns (`:=`) or suspends (`yield`,
`await`) can't be a lambda: such an expression stays as it is.
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.patterns import without_flags
from d2s.transforms.scopes import MethodsOnly, walk_own
from d2s.transforms.templates import expression, statements, thunk

_SYMBOLS: dict[type, str] = {
    gast.Lt: "<",
    gast.LtE: "<=",
    gast.Gt: ">",
    gast.GtE: ">=",
    gast.Eq: "==",
    gast.NotEq: "!=",
    gast.Is: "is",
    gast.IsNot: "is not",
    gast.In: "in",
    gast.NotIn: "not in",
}


def transform(node: Any, context: Context) -> Any:
    """Rewrite the expressions of every function in a tree."""
    return _Expressions().visit(without_flags(node, context))


def _operator(name: str, at: Any, *arguments: Any) -> Any:
    call = expression(f"operators.{name}()", at, operators=OPERATORS)
    call.args = list(arguments)
    return call


def _can_wait(value: Any) -> bool:
    """Whether an expression means the same inside a lambda."""
    stops = (gast.NamedExpr, gast.Yield, gast.YieldFrom, gast.Await)
    return not any(isinstance(inner, stops) for inner in walk_own(value))


def _is_none(node: Any) -> bool:
    """Whether an expression is None, which no value of a run is."""
    return isinstance(node, gast.Constant) and node.value is None


def _can_be_key(position: Any) -> bool:
    """Whether a position can be a key or a bound of a slice: not one of those that only tensors take."""
    parts = position.elts if isinstance(position, gast.Tuple) else [position]
    others = (gast.Slice, gast.Starred) if isinstance(position, gast.Tuple) else gast.Starred
    return not any(isinstance(part, others) or _is_none(part) or _is_ellipsis(part) for part in parts)


def _is_ellipsis(node: Any) -> bool:
    return isinstance(node, gast.Constant) and node.value is ...


def _is_constant(node: Any) -> bool:
    """Whether an expression is a literal, possibly negative."""
    return isinstance(node.operand if isinstance(node, gast.UnaryOp) else node, gast.Constant)


class _Expressions(MethodsOnly):
    def __init__(self) -> None:
        self._kept: set[int] = set()

    # -------------------------------------------------------------- where only truth is asked

    def _test(self, node: Any) -> Any:
        """An expression of which only the truth is asked."""
        if isinstance(node, gast.BoolOp) and all(map(_can_wait, node.values[1:])):
            name = "and_test" if isinstance(node.op, gast.And) else "or_test"
            first, *rest = [self._test(value) for value in node.values]
            return _operator(name, node, first, *map(thunk, rest))
        return self.visit(node)

    def _visit_with_test(self, node: Any) -> Any:
        test, node.test = node.test, gast.Constant(None, None)
        self.generic_visit(node)
        node.test = self._test(test)
        return node

    visit_If = _visit_with_test
    visit_While = _visit_with_test

    def visit_Assert(self, node: Any) -> Any:
        error = expression("AssertionError()", node)
        error.args = [self.visit(node.msg)] if node.msg is not None else []
        negated = gast.copy_location(gast.UnaryOp(gast.Not(), node.test), node.test)
        (check,) = statements("if test: raise error", node, test=self._test(negated), error=error)
        return check

    # -------------------------------------------------------------- expressions

    def visit_IfExp(self, node: Any) -> Any:
        if not (_can_wait(node.body) and _can_wait(node.orelse)):
            return self._visit_with_test(node)
        body, orelse = self.visit(node.body), self.visit(node.orelse)
        return _operator("if_expression", node, self._test(node.test), thunk(body), thunk(orelse))

    def visit_BoolOp(self, node: Any) -> Any:
        if not all(map(_can_wait, node.values[1:])):
            return self.generic_visit(node)
        first, *rest = [self.visit(value) for value in node.values]
        return _operator("and_" if isinstance(node.op, gast.And) else "or_", node, first, *map(thunk, rest))

    def visit_UnaryOp(self, node: Any) -> Any:
        if not isinstance(node.op, gast.Not):
            return self.generic_visit(node)
        return _operator("not_", node, self._test(node.operand))

    def visit_List(self, node: Any) -> Any:
        self.generic_visit(node)
        if not isinstance(node.ctx, gast.Load) or (node.elts and id(node) not in self._kept):
            return node
        return _operator("display", node, node)

    def visit_Dict(self, node: Any) -> Any:
        self.generic_visit(node)
        if None in node.keys:
            return node
        if all(map(_is_constant, node.keys)):
            return _operator("display", node, node) if id(node) in self._kept or not node.keys else node
        pairs = [
            gast.copy_location(gast.Tuple([key, value], gast.Load()), key)
            for key, value in zip(node.keys, node.values, strict=True)
        ]
        return _operator("dict_", node, gast.copy_location(gast.List(pairs, gast.Load()), node))

    def visit_Set(self, node: Any) -> Any:
        self.generic_visit(node)
        if any(isinstance(element, gast.Starred) for element in node.elts) or all(map(_is_constant, node.elts)):
            return _operator("display", node, node) if id(node) in self._kept else node
        return _operator("set_", node, gast.copy_location(gast.List(node.elts, gast.Load()), node))

    def visit_Subscript(self, node: Any) -> Any:
        """What can be a position in a list, or a key: a look-up of one can put it there, in a `defaultdict`."""
        self.generic_visit(node)
        position = node.slice
        if not isinstance(node.ctx, gast.Load) or not _can_be_key(position):
            return node
        if not isinstance(position, gast.Slice):
            return _operator("get_item", node, node.value, position)
        bounds = [
            gast.Constant(None, None) if b is None else b for b in (position.lower, position.upper, position.step)
        ]
        if all(map(_is_constant, bounds)):
            return node
        return _operator("get_slice", node, node.value, *bounds)

    def visit_Assign(self, node: Any) -> Any:
        """A list that gets a name, or that is empty, may be made longer."""
        values = node.value.elts if isinstance(node.value, gast.Tuple) else [node.value]
        self._kept.update(map(id, values))
        return self.generic_visit(node)

    visit_AnnAssign = visit_NamedExpr = visit_Assign

    def visit_JoinedStr(self, node: Any) -> Any:
        self.generic_visit(node)
        return _operator("text", node, *node.values)

    def visit_FormattedValue(self, node: Any) -> Any:
        self.generic_visit(node)
        conversion = gast.Constant(None if node.conversion == -1 else chr(node.conversion), None)
        specification = node.format_spec or gast.Constant("", None)
        return _operator("formatted", node, node.value, conversion, specification)

    def visit_BinOp(self, node: Any) -> Any:
        self.generic_visit(node)
        is_text = isinstance(node.left, gast.Constant) and isinstance(node.left.value, str)
        if isinstance(node.op, gast.Mod) and is_text:
            return _operator("percent", node, node.left, node.right)
        return node

    def visit_Compare(self, node: Any) -> Any:
        if not all(map(_can_wait, node.comparators)):
            return self.generic_visit(node)
        self.generic_visit(node)
        symbols = [_SYMBOLS[type(op)] for op in node.ops]
        if len(symbols) == 1:
            return self._single_comparison(node, symbols[0])
        links: list[Any] = []
        for symbol, operand in zip(symbols, node.comparators, strict=True):
            links += [gast.copy_location(gast.Constant(symbol, None), operand), thunk(operand)]
        return _operator("compare", node, node.left, *links)

    def _single_comparison(self, node: Any, symbol: str) -> Any:
        left, (right,) = node.left, node.comparators
        if symbol in ("in", "not in"):
            answer = _operator("contains", node, right, left)
        elif symbol in ("is", "is not") and not any(map(_is_none, (left, right))):
            answer = _operator("is_", node, left, right)
        else:
            return node
        return _operator("not_", node, answer) if symbol in ("not in", "is not") else answer

"""Expressions whose truth alone counts: `x if c else False` there is `c and x`."""

from __future__ import annotations

import ast

_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def truth(node: ast.expr) -> ast.expr:
    """A shorter expression that is true where this one is, and runs the same."""
    match node:
        case ast.Call(func=ast.Name(id="bool"), args=[inner], keywords=[]):
            return truth(inner)
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return negated(truth(inner))
        case ast.IfExp(test=test, body=body, orelse=orelse):
            test, body, orelse = truth(test), truth(body), truth(orelse)
            if is_constant(orelse, False):
                return test if is_constant(body, True) else _joined(ast.And(), test, body)
            if is_constant(body, True):
                return _joined(ast.Or(), test, orelse)
            if is_constant(body, False):
                return negated(test) if is_constant(orelse, True) else _joined(ast.And(), negated(test), orelse)
            if is_constant(orelse, True):
                return _joined(ast.Or(), negated(test), body)
            return ast.IfExp(test, body, orelse)
    return node


def negated(node: ast.expr) -> ast.expr:
    """An expression that is true where this one is not."""
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=inner):
            return inner
        case ast.Constant(value=bool(value)):
            return ast.Constant(not value)
        case ast.Compare(left=left, ops=[op], comparators=comparators) if type(op) in _OPPOSITE:
            return ast.Compare(left, [_OPPOSITE[type(op)]()], comparators)
    return ast.UnaryOp(ast.Not(), node)


def is_constant(node: ast.expr, value: bool) -> bool:
    """Whether an expression is this constant."""
    return isinstance(node, ast.Constant) and node.value is value


def _joined(op: ast.boolop, first: ast.expr, second: ast.expr) -> ast.expr:
    """`first and second`, or `or`: a chain is written without parentheses."""
    parts: list[ast.expr] = []
    for part in (first, second):
        same = isinstance(part, ast.BoolOp) and type(part.op) is type(op)
        parts += part.values if same else [part]  # type: ignore[attr-defined]
    return ast.BoolOp(op, parts)


def condition_text(node: ast.expr) -> str:
    """A condition as source, without the parentheses that `ast.unparse` puts into chains of `and` and `or`."""
    if not isinstance(node, ast.BoolOp):
        return ast.unparse(node)
    word = "and" if isinstance(node.op, ast.And) else "or"
    binds_less = (ast.BoolOp, ast.IfExp, ast.Lambda)
    parts = [
        f"({condition_text(part)})" if isinstance(part, binds_less) else ast.unparse(part) for part in node.values
    ]
    return f" {word} ".join(parts)

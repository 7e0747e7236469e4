"""Calls of a program as Python writes them: with operators, methods and attributes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

from d2s.runtime.archive.targets import name_of
from d2s.runtime.errors import D2SError
from d2s.runtime.ir.names import display_name, qualified_name
from d2s.runtime.ir.program import Call, Value, is_tensor
from d2s.runtime.ir.sources import Source
from d2s.runtime.source.layers import LayerCall
from d2s.runtime.source.trees import Trees, call_of, dotted, expression, without_index

_BINARY: dict[str, type[ast.operator]] = {
    "add": ast.Add,
    "sub": ast.Sub,
    "mul": ast.Mult,
    "div": ast.Div,
    "truediv": ast.Div,
    "floordiv": ast.FloorDiv,
    "remainder": ast.Mod,
    "mod": ast.Mod,
    "pow": ast.Pow,
    "matmul": ast.MatMult,
    "and": ast.BitAnd,
    "or": ast.BitOr,
    "xor": ast.BitXor,
    "lshift": ast.LShift,
    "rshift": ast.RShift,
}
_COMPARED: dict[str, type[ast.cmpop]] = {
    "lt": ast.Lt,
    "le": ast.LtE,
    "gt": ast.Gt,
    "ge": ast.GtE,
    "eq": ast.Eq,
    "ne": ast.NotEq,
    "is": ast.Is,
    "is_not": ast.IsNot,
}
_UNARY: dict[str, type[ast.unaryop]] = {
    "neg": ast.USub,
    "pos": ast.UAdd,
    "invert": ast.Invert,
    "inv": ast.Invert,
    "not": ast.Not,
}
# Methods of tensors that Python calls for an operator under a name that has no underscores.
_PLAIN_METHODS = frozenset("add sub mul div remainder matmul lt le gt ge eq ne neg".split())
_STATEMENTS = frozenset({"__setitem__", "__delitem__", "setitem", "delitem", "__set__", "__delete__"})
_AS_PYTHON_WRITES = {
    "d2s.has_gradient": "{0}.grad is not None",
    "d2s.keys_of": "tuple({0})",
    "d2s.values_of": "tuple({0}.values())",
    "d2s.items_of": "tuple({0}.items())",
    "d2s.list_position": "range({0})[{1}]",
    "d2s.real_power": "float({0} ** {1})",
    "d2s.sorted_positions": "tuple(i for i, _ in sorted(enumerate({0}), key=lambda pair: pair[1], reverse={1}))",
    "d2s.same": "{0}",
    "d2s.device_type": "{0}.type",
}


class Calls:
    """Writes calls; what stands in them `trees` writes, and the paths to layers `place`."""

    def __init__(self, trees: Trees, place: Callable[[Source], ast.expr]):
        self._trees = trees
        self._place = place

    def expression(self, call: Call) -> ast.expr:
        """The expression for a call.

        Raises:
            D2SError: it can't be written.
        """
        if isinstance(call.target, LayerCall):
            return call_of(self._place(call.target.source), *map(self._trees.tree, call.args))
        name = _name(call.target)
        if name in _AS_PYTHON_WRITES and not call.kwargs:
            return self._filled(_AS_PYTHON_WRITES[name], call)
        if name == "d2s.join_text":
            return ast.JoinedStr(list(map(self._part_of_text, call.args)))
        if name == "d2s.range_length":
            return call_of(expression("len"), self.range_of(call))
        if name == "d2s.remake_exception" and not call.args[2]:
            return self._called(self._trees.tree(call.args[0]), call.target, call.args[1], {})
        if name == "d2s.chain_exception":
            return self._chained(*call.args)
        written = self._operator(name, call) or self._method(name, call)
        if written is not None:
            return written
        if name.startswith("d2s."):
            raise D2SError(f"a call of {display_name(call.target)} can't be written as source")
        return self._called(dotted(name), call.target, call.args, call.kwargs)

    def _chained(self, error: Any, cause: Any, context: Any, suppresses: bool) -> ast.expr:
        """An exception; what it is raised from goes with it to the `raise`. Its context is left out."""
        made = self._trees.tree(error)
        if cause is not None or suppresses:
            made.d2s_cause = self._trees.tree(cause)  # type: ignore[attr-defined]
        return made

    def statement(self, call: Call) -> ast.stmt:
        """The statement for a call that `is_statement`, or whose result is not used."""
        if not is_statement(call):
            return ast.Expr(self.expression(call))
        place, _, method = _name(call.target).rpartition(".")
        trees = self._trees
        if method == "__set__" or method == "__delete__":
            attribute = ast.Attribute(trees.tree(call.args[0]), place.rpartition(".")[2], ast.Store())
            if method == "__delete__":
                return ast.Delete([attribute])
            return ast.Assign([attribute], trees.tree(call.args[1]))
        item = ast.Subscript(trees.tree(call.args[0]), trees.index(call.args[1]), ast.Store())
        return ast.Delete([item]) if "del" in method else ast.Assign([item], trees.tree(call.args[2]))

    def range_of(self, length: Call) -> ast.expr:
        """The range whose length a call gives."""
        start, stop, step = length.args
        bounds = [stop] if (start, step) == (0, 1) else [start, stop] if step == 1 else [start, stop, step]
        return call_of(expression("range"), *(without_index(self._trees.tree(bound)) for bound in bounds))

    def _part_of_text(self, part: Any) -> ast.expr:
        written = self._trees.tree(part)
        match written:
            case ast.Constant(value=str()):
                return written
            case ast.Call(func=ast.Name(id="format"), args=[inner, ast.Constant(value=str(spec))], keywords=[]):
                return ast.FormattedValue(inner, -1, ast.JoinedStr([ast.Constant(spec)]) if spec else None)
            case ast.Call(func=ast.Name(id="str" | "repr" as shown), args=[inner], keywords=[]):
                return ast.FormattedValue(inner, ord(shown[0]))
        return ast.FormattedValue(written, -1)

    def _filled(self, pattern: str, call: Call) -> ast.expr:
        return _Filling(list(map(self._trees.tree, call.args))).visit(expression(_as_names(pattern)))

    def _operator(self, name: str, call: Call) -> ast.expr | None:
        place, _, symbol = name.rpartition(".")
        if call.kwargs or not (place == "operator" or _is_class(place)):
            return None
        bare = _bare(place, symbol)
        args = [self._trees.tree(arg) for arg in call.args]
        if bare in _UNARY and len(args) == 1:
            return ast.UnaryOp(_UNARY[bare](), args[0])
        if len(args) != 2:
            return None
        if bare == "getitem":
            return ast.Subscript(args[0], self._trees.index(call.args[1]), ast.Load())
        if bare == "contains":
            return ast.Compare(args[1], [ast.In()], [args[0]])
        if bare in _COMPARED:
            return ast.Compare(args[0], [_COMPARED[bare]()], [args[1]])
        if bare in _BINARY:
            return ast.BinOp(args[0], _BINARY[bare](), args[1])
        if place != "operator" and bare.startswith("r") and bare[1:] in _BINARY:
            return ast.BinOp(args[1], _BINARY[bare[1:]](), args[0])
        return None

    def _method(self, name: str, call: Call) -> ast.expr | None:
        place, _, method = name.rpartition(".")
        if method == "__get__" and len(call.args) == 1:
            return ast.Attribute(self._trees.tree(call.args[0]), place.rpartition(".")[2], ast.Load())
        if not call.args or not isinstance(call.args[0], Value | str) or not _is_class(place):
            return None
        if isinstance(call.args[0], str) and place != "str":
            return None
        if place == "torch.Tensor" and not (isinstance(call.args[0], Value) and is_tensor(call.args[0].type)):
            return None
        if method == "__getitem__" and len(call.args) == 2 and not call.kwargs:
            return ast.Subscript(self._trees.tree(call.args[0]), self._trees.index(call.args[1]), ast.Load())
        function = ast.Attribute(self._trees.tree(call.args[0]), method, ast.Load())
        return self._called(function, call.target, call.args[1:], call.kwargs)

    def _called(
        self, function: ast.expr, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> ast.expr:
        defaults = _defaults(target)
        kept = {key: value for key, value in kwargs.items() if not _is_default(defaults, key, value)}
        written = {key: self._trees.tree(value) for key, value in kept.items()}
        return call_of(function, *map(self._trees.tree, args), **written)


def is_statement(call: Call) -> bool:
    """Whether Python has a statement for a call, which is no expression."""
    name = qualified_name(call.target) or name_of(call.target) or ""
    return not call.kwargs and name.rpartition(".")[2] in _STATEMENTS


def swaps_operands(call: Call) -> bool:
    """Whether Python writes, and evaluates, the second operand of a call first."""
    place, _, symbol = (qualified_name(call.target) or "").rpartition(".")
    bare = _bare(place, symbol)
    return bare == "contains" or (place != "operator" and bare[:1] == "r" and bare[1:] in _BINARY)


def _name(target: Callable[..., Any]) -> str:
    name = qualified_name(target) or name_of(target)
    if name is None:
        raise D2SError(
            f"a call of {display_name(target)} can't be written as source: only operations of torch, and of Python "
            "on data, can"
        )
    return name


def _bare(place: str, symbol: str) -> str:
    """The operator that a function is for, without what its name has of underscores; empty for none."""
    if symbol.startswith("__") and symbol.endswith("__"):
        return symbol[2:-2]
    if place == "operator":
        return symbol.rstrip("_")
    return symbol if place == "torch.Tensor" and symbol in _PLAIN_METHODS else ""


def _is_class(place: str) -> bool:
    return place == "torch.Tensor" or place.rpartition(".")[2] in (
        "list dict set frozenset tuple str bytes int float complex bool deque OrderedDict Counter defaultdict".split()
    )


@cache
def _defaults(target: Callable[..., Any]) -> dict[str, Any]:
    try:
        parameters = inspect.signature(target).parameters
    except (TypeError, ValueError):
        return {}
    return {name: one.default for name, one in parameters.items() if one.default is not one.empty}


def _is_default(defaults: dict[str, Any], key: str, value: Any) -> bool:
    """Whether an argument says what it would be anyway; the mode of training is always worth saying."""
    if key not in defaults or key == "training" or isinstance(value, Value):
        return False
    return type(defaults[key]) is type(value) and bool(defaults[key] == value)


def _as_names(pattern: str) -> str:
    return pattern.replace("{", "_").replace("}", "")


class _Filling(ast.NodeTransformer):
    """Puts expressions in place of the names `_0`, `_1`, ... of a pattern."""

    def __init__(self, parts: list[ast.expr]):
        self._parts = parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._parts[int(node.id[1:])] if node.id[1:].isdigit() else node

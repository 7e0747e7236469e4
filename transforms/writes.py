"""Makes writes to objects calls of operators, which can take them back.

obj.attr = v                    ->  _d2s.set_attribute(v, obj, "attr")
obj[key] = v                    ->  _d2s.set_item(v, obj, key)
obj.attr += v                   ->  _d2s.update_attribute(obj, "attr", "+=", v)
obj[key] += v                   ->  _d2s.update_item(obj, key, "+=", v)
items += v                      ->  items = _d2s.update(items, "+=", v)
del obj.attr, obj[key]          ->  _d2s.delete_attribute(obj, "attr"); _d2s.delete_item(obj, key)
a, obj.attr = pair              ->  a, _target = pair; _d2s.set_attribute(_target, obj, "attr")

The arguments stand in the order in which Python evaluates them.
"""

from __future__ import annotations

from typing import Any

import gast

from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import OwnStatements, map_functions, mark_owners
from d2s.transforms.templates import expression, placed, statements

_SYMBOLS: dict[type, str] = {
    gast.Add: "+=",
    gast.Sub: "-=",
    gast.Mult: "*=",
    gast.Div: "/=",
    gast.FloorDiv: "//=",
    gast.Mod: "%=",
    gast.Pow: "**=",
    gast.MatMult: "@=",
    gast.BitAnd: "&=",
    gast.BitOr: "|=",
    gast.BitXor: "^=",
    gast.LShift: "<<=",
    gast.RShift: ">>=",
}


def transform(node: Any, context: Context) -> Any:
    """Rewrite the writes in the functions of a tree; those of class bodies stay."""
    mark_owners(node, context.owner)
    return map_functions(node, lambda function: _Writes(context, function.owner).rewrite(function))


def _constant(value: Any, at: Any) -> Any:
    return gast.copy_location(gast.Constant(value, None), at)


def _call(name: str, at: Any, *arguments: Any) -> Any:
    call = expression(f"operators.{name}()", at, operators=OPERATORS)
    call.args = list(arguments)
    return call


def _loaded(node: Any) -> Any:
    """What a slice is as an expression."""
    if isinstance(node, gast.Slice):
        bounds = [_constant(None, node) if part is None else part for part in (node.lower, node.upper, node.step)]
        call = expression("slice()", node)
        call.args = bounds
        return call
    if isinstance(node, gast.Tuple):
        return gast.copy_location(gast.Tuple([_loaded(item) for item in node.elts], gast.Load()), node)
    return node


class _Writes(OwnStatements):
    def __init__(self, context: Context, owner: str | None):
        self.context = context
        self.owner = (owner or "").lstrip("_")

    def _name(self, target: Any) -> Any:
        """The name of an attribute as the compiler would store it: private ones carry their class."""
        name, owner = target.attr, self.owner
        if owner and name.startswith("__") and not name.endswith("__"):
            name = f"_{owner}{name}"
        return _constant(name, target)

    # -------------------------------------------------------------- plain assignments

    def visit_Assign(self, node: Any) -> Any:
        if all(self._is_plain(target) for target in node.targets):
            return node
        if len(node.targets) == 1 and isinstance(node.targets[0], gast.Attribute | gast.Subscript):
            return self._set(node.targets[0], node.value)
        value = self.context.namer.fresh("_value")
        lines = statements("name = value", node, name=value, value=node.value)
        for target in node.targets:
            lines += self._assign(target, expression("name", node, name=value))
        return lines

    def visit_AnnAssign(self, node: Any) -> Any:
        if node.value is None or isinstance(node.target, gast.Name):
            return node
        return self._set(node.target, node.value)

    def _is_plain(self, target: Any) -> bool:
        return not any(isinstance(inner, gast.Attribute | gast.Subscript) for inner in gast.walk(target))

    def _assign(self, target: Any, value: Any) -> list[Any]:
        """Assign to a target of any form, its attributes and items last and in order."""
        if isinstance(target, gast.Attribute | gast.Subscript):
            return [self._set(target, value)]
        later: list[Any] = []
        plain = self._with_names(target, later)
        assign = gast.copy_location(gast.Assign([plain], value, None), target)
        return [assign, *later]

    def _with_names(self, target: Any, later: list[Any]) -> Any:
        """A target with a variable for each attribute and item; `later` gets the statements that set those."""
        if isinstance(target, gast.Attribute | gast.Subscript):
            name = self.context.namer.fresh("_target")
            later.append(self._set(target, expression("name", target, name=name)))
            return gast.copy_location(gast.Name(name, gast.Store(), None, None), target)
        if isinstance(target, gast.Starred):
            target.value = self._with_names(target.value, later)
        elif isinstance(target, gast.Tuple | gast.List):
            target.elts = [self._with_names(item, later) for item in target.elts]
        return target

    def _set(self, target: Any, value: Any) -> Any:
        if isinstance(target, gast.Attribute):
            call = _call("set_attribute", target, value, target.value, self._name(target))
        else:
            call = _call("set_item", target, value, target.value, _loaded(target.slice))
        return placed(gast.Expr(call), target)

    # -------------------------------------------------------------- the other forms

    def visit_AugAssign(self, node: Any) -> Any:
        target, symbol = node.target, _constant(_SYMBOLS[type(node.op)], node)
        if isinstance(target, gast.Name):
            name = gast.copy_location(gast.Name(target.id, gast.Load(), None, None), target)
            call = _call("update", node, name, symbol, node.value)
            return gast.copy_location(gast.Assign([target], call, None), node)
        if isinstance(target, gast.Attribute):
            call = _call("update_attribute", node, target.value, self._name(target), symbol, node.value)
        else:
            call = _call("update_item", node, target.value, _loaded(target.slice), symbol, node.value)
        return placed(gast.Expr(call), node)

    def visit_Delete(self, node: Any) -> Any:
        return [self._delete(target) for target in node.targets]

    def _delete(self, target: Any) -> Any:
        if isinstance(target, gast.Attribute):
            call = _call("delete_attribute", target, target.value, self._name(target))
        elif isinstance(target, gast.Subscript):
            call = _call("delete_item", target, target.value, _loaded(target.slice))
        else:
            return gast.copy_location(gast.Delete([target]), target)
        return placed(gast.Expr(call), target)

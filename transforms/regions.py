"""Makes functions of statement lists that share the variables of the function around them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gast

from d2s.transforms.activity import Activity
from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.scopes import OwnStatements, walk_own
from d2s.transforms.templates import expression, placed, statements

_LEAVES_EARLY = (gast.Return, gast.Break, gast.Continue, gast.Yield, gast.YieldFrom, gast.Await)


class FunctionRegions(OwnStatements):
    """A base for the passes that make regions of one function's statements."""

    def __init__(self, function: Any, context: Context):
        self.context = context
        self.globals = frozenset(
            name for node in walk_own(function.body) if isinstance(node, gast.Global) for name in node.names
        )

    def is_left_early(self, nodes: list[Any]) -> bool:
        """Whether control may leave the statements other than at their end: they can't be a function."""
        return any(isinstance(inner, _LEAVES_EARLY) for inner in walk_own(nodes))

    def region(self, stem: str, body: list[Any], activity: Activity, parameters: Iterable[str] = ()) -> Any:
        """A function of statements that binds the shared variables of the function around it."""
        shared = [*activity.carried, *activity.scratch]
        (made,) = statements("def name(): body", body[0], name=self.context.namer.fresh(stem), body=body)
        made.args.args = [gast.Name(name, gast.Param(), None, None) for name in parameters]
        declarations: list[Any] = []
        outer = [name for name in shared if name not in self.globals]
        if outer:
            declarations.append(gast.copy_location(gast.Nonlocal(outer), body[0]))
        own_globals = [name for name in shared if name in self.globals]
        if own_globals:
            declarations.append(gast.copy_location(gast.Global(own_globals), body[0]))
        made.body = [*declarations, *(_Unannotated(set(shared)).visit(statement) for statement in made.body)]
        made.is_region = True
        return made


class _Unannotated(OwnStatements):
    """Takes the annotations from variables of another function, where Python allows none."""

    def __init__(self, names: set[str]):
        self.names = names

    def visit_AnnAssign(self, node: Any) -> Any:
        if not isinstance(node.target, gast.Name) or node.target.id not in self.names:
            return node
        if node.value is None:
            return gast.copy_location(gast.Pass(), node)
        return gast.copy_location(gast.Assign([node.target], node.value, None), node)


def name_of(region: Any) -> Any:
    """The expression of a region's name."""
    return gast.Name(region.name, gast.Load(), None, None)


def shared_names(activity: Activity) -> list[Any]:
    """The last arguments of an operator: the names of what is carried and, if there is some, of what is scratch."""
    kinds = [activity.carried, activity.scratch] if activity.scratch else [activity.carried]
    return list(map(names_tuple, kinds))


def names_tuple(names: Iterable[str]) -> Any:
    """A tuple of texts."""
    return gast.Tuple([gast.Constant(name, None) for name in names], gast.Load())


def operator_call(name: str, arguments: list[Any], at: Any) -> Any:
    """The statement that calls a conversion operator."""
    call = expression(f"operators.{name}()", at, operators=OPERATORS)
    call.args = arguments
    statement = placed(gast.Expr(call), at)
    return gast.fix_missing_locations(statement)

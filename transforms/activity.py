"""Which variables statements bind and read, and which are live where, for `if`s, loops and `try`s."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import gast

from d2s.transforms.context import Context
from d2s.transforms.scopes import COMPREHENSIONS, FUNCTIONS, LOOPS, SCOPES, map_functions, walk_own

Names = frozenset[str]
NONE: Names = frozenset()

_STATEMENTS_THAT_KILL = (gast.Assign, gast.AnnAssign, gast.Import, gast.ImportFrom, *FUNCTIONS, gast.ClassDef)


@dataclass(frozen=True)
class Activity:
    """What one `if`, loop or `try` does to the variables of its function, in source order.

    `carried`: bound inside, and needed after or by another trip; `scratch`: bound inside from a value that it
    had before, and not needed after; `local`: bound before it is read, and not needed after.
    """

    carried: tuple[str, ...]
    scratch: tuple[str, ...]
    local: tuple[str, ...]


def bound_names(nodes: Any) -> dict[str, None]:
    """The variables that statements bind or delete in their own scope, in source order."""
    found: dict[str, None] = {}
    for node in walk_own(nodes, (*SCOPES, *COMPREHENSIONS)):
        found.update((name, None) for name in _bound_by(node))
    return found


def _bound_by(node: Any) -> Iterator[str]:
    if isinstance(node, gast.Name) and isinstance(node.ctx, gast.Store | gast.Del):
        yield node.id
    elif isinstance(node, (*FUNCTIONS, gast.ClassDef)):
        yield node.name
    elif isinstance(node, gast.alias):
        yield (node.asname or node.name).split(".")[0]
    elif isinstance(node, gast.ExceptHandler | gast.MatchAs | gast.MatchStar):
        name = node.name
        if name:
            yield name if isinstance(name, str) else name.id
    elif isinstance(node, gast.MatchMapping) and node.rest:
        yield node.rest
    elif isinstance(node, COMPREHENSIONS):
        # A walrus in a comprehension binds in the function around it.
        for inner in gast.walk(node):
            if isinstance(inner, gast.NamedExpr):
                yield inner.target.id


def read_names(nodes: Any) -> Names:
    """The variables that are read, also inside the functions defined here."""
    found: set[str] = set()
    for root in nodes if isinstance(nodes, list) else [nodes]:
        for node in gast.walk(root):
            if isinstance(node, gast.Name) and not isinstance(node.ctx, gast.Store | gast.Param):
                found.add(node.id)
            elif isinstance(node, gast.AugAssign) and isinstance(node.target, gast.Name):
                found.add(node.target.id)
            elif isinstance(node, gast.Nonlocal):
                found.update(node.names)
    return frozenset(found)


def declared_elsewhere(function: Any) -> Names:
    """The names that a function declares `global` or `nonlocal`."""
    return frozenset(
        name
        for node in walk_own(function.body)
        if isinstance(node, gast.Global | gast.Nonlocal)
        for name in node.names
    )


def is_thunk(node: Any) -> bool:
    """Whether a lambda was made by a pass, to be called on the spot."""
    return getattr(node, "is_thunk", False)


def _captured(function: Any) -> Names:
    """What functions inside may read at any time."""
    scopes = [
        node
        for node in walk_own(function.body, (*FUNCTIONS, gast.ClassDef, gast.GeneratorExp))
        if isinstance(node, (*SCOPES, gast.GeneratorExp)) and not is_thunk(node)
    ]
    return read_names(scopes)


def transform(node: Any, context: Context) -> Any:
    """Give each `if`, loop and `try` in the functions of a tree an attribute `activity`; changes nothing else."""

    def change(function: Any) -> Any:
        analysis = _Liveness(function)
        analysis.block(function.body, analysis.always)
        for statement, activity in analysis.found.items():
            statement.activity = activity
        return function

    return map_functions(node, change)


class _Liveness:
    """Goes backwards over structured statements; what it can't follow keeps everything alive."""

    def __init__(self, function: Any):
        self.found: dict[Any, Activity] = {}
        self.always = _captured(function) | declared_elsewhere(function)
        leftovers = (gast.Break, gast.Continue)
        returns = [node for node in walk_own(function.body) if isinstance(node, gast.Return)]
        nested = any(node not in function.body for node in returns)
        if nested or any(isinstance(node, leftovers) for node in walk_own(function.body)):
            self.always |= read_names(function.body)

    def block(self, statements: list[Any], live: Names) -> Names:
        """What is live before the statements, given what is live after them."""
        for statement in reversed(statements):
            live = self.statement(statement, live) | self.always
        return live

    def statement(self, node: Any, live: Names) -> Names:
        if isinstance(node, gast.If):
            inside = self.block(node.body, live) | self.block(node.orelse, live)
            self._note(node, [*node.body, *node.orelse], inside, live)
            return (inside - bound_names(node.test).keys()) | read_names(node.test)
        if isinstance(node, LOOPS):
            return self._loop(node, live)
        if isinstance(node, gast.Try | gast.TryStar):
            return self._try(node, live)
        if isinstance(node, gast.With | gast.AsyncWith):
            # The body may be left early by an exception that the context manager swallows.
            return self.block(node.body, live) | live | read_names(node.items)
        if isinstance(node, gast.Match):
            inside = live
            for case in node.cases:
                inside |= self.block(case.body, live) | read_names([case.pattern])
                inside |= read_names(case.guard) if case.guard else NONE
            return inside | read_names(node.subject)
        return self._simple(node, live)

    def _simple(self, node: Any, live: Names) -> Names:
        if isinstance(node, gast.Return | gast.Raise):
            live = NONE
        killed = bound_names(node).keys() if isinstance(node, _STATEMENTS_THAT_KILL) else NONE
        if isinstance(node, gast.AnnAssign) and node.value is None:
            killed = NONE
        return (live - killed) | read_names(node)

    def _loop(self, node: Any, live: Names) -> Names:
        header = node.test if isinstance(node, gast.While) else node.iter
        targets = [] if isinstance(node, gast.While) else [node.target]
        bound_by_target = bound_names(targets).keys()
        entry = self.block(node.orelse, live) | read_names(header) | read_names(targets)
        while True:
            inside = self.block(node.body, entry) - bound_by_target
            if inside <= entry:
                break
            entry |= inside
        self._note(node, [*targets, *([header] if not targets else []), *node.body], entry, entry)
        return entry

    def _try(self, node: Any, live: Names) -> Names:
        after = self.block(node.finalbody, live) | live
        elsewhere = after | read_names(node.finalbody)
        inside = self.block(node.orelse, elsewhere)
        for handler in node.handlers:
            inside |= self.block(handler.body, elsewhere) | (read_names(handler.type) if handler.type else NONE)
        # Any statement of the body may be the last one before a handler.
        elsewhere |= inside
        reached = self.block(node.body, elsewhere) | elsewhere
        self._note(node, [node], reached, live)
        return reached

    def _note(self, node: Any, inside: Iterable[Any], live_in: Names, live_out: Names) -> None:
        bound = bound_names(list(inside))
        carried = [name for name in bound if name in live_out]
        scratch = [name for name in bound if name not in live_out and name in live_in]
        local = [name for name in bound if name not in live_out and name not in live_in]
        self.found[node] = Activity(tuple(carried), tuple(scratch), tuple(local))

"""How `return`, `break` and `continue` become nested `else` and flags; shared by the passes for each of them.

A statement list is lowered so that control always reaches its end. Where one side of an `if` always
exits, what follows moves into the other side; where that is not enough, the exit sets a flag, and what
follows is guarded by it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import gast

from d2s.transforms.scopes import LOOPS, SCOPES, map_blocks, map_functions, statement_lists
from d2s.transforms.templates import statements


class Flow(Enum):
    """Whether a statement list exits."""

    NEVER = "control always reaches the end of the list"
    MAYBE = "some paths exit"
    ALWAYS = "no path reaches the end of the list"


class ExitLowering:
    """Lowers one kind of exit. Subclasses say what exits and what stands in its place.

    `flag` names the variable that says that an exit was taken; `flag_used` whether any guard reads it.
    """

    exit_type: type
    enters_loops = False

    def __init__(self, flag: str):
        self.flag = flag
        self.flag_used = False

    def lower_exit(self, node: Any) -> list[Any]:
        """What stands in the place of an exit: it must let control go on."""
        raise NotImplementedError

    def lower_loop(self, loop: Any) -> Any:
        """A loop with an exit in it; asked only where the exit leaves loops."""
        raise NotImplementedError

    # -------------------------------------------------------------- analysis

    def has_exit(self, node: Any) -> bool:
        """Whether an exit of this kind is in the statement or is it."""
        if isinstance(node, self.exit_type):
            return True
        if isinstance(node, SCOPES) or (isinstance(node, LOOPS) and not self.enters_loops):
            # The `else` of a loop is outside the loop.
            return isinstance(node, LOOPS) and any(map(self.has_exit, node.orelse))
        return any(self.has_exit(inner) for block in statement_lists(node) for inner in block)

    def flow(self, block: Iterable[Any]) -> Flow:
        """Whether a statement list exits."""
        worst = Flow.NEVER
        for node in block:
            if isinstance(node, self.exit_type | gast.Raise):
                return Flow.ALWAYS
            if not self.has_exit(node):
                continue
            if isinstance(node, gast.If) and self.flow(node.body) == self.flow(node.orelse) == Flow.ALWAYS:
                return Flow.ALWAYS
            worst = Flow.MAYBE
        return worst

    # -------------------------------------------------------------- lowering

    def lower(self, block: list[Any]) -> list[Any]:
        """The list without exits."""
        for index, node in enumerate(block):
            if isinstance(node, self.exit_type):
                return block[:index] + self.lower_exit(node)
            if self.has_exit(node):
                return block[:index] + self._lower_compound(node, block[index + 1 :])
        return block

    def _lower_compound(self, node: Any, rest: list[Any]) -> list[Any]:
        """A statement with an exit in it, and what follows it."""
        if isinstance(node, gast.If):
            node = copy.copy(node)
            if self.flow(node.body) is Flow.ALWAYS:
                node.body, node.orelse = self.lower(node.body), self.lower(node.orelse + rest)
                return [node]
            if self.flow(node.orelse) is Flow.ALWAYS:
                node.body, node.orelse = self.lower(node.body + rest), self.lower(node.orelse)
                return [node]
        if isinstance(node, LOOPS) and self.enters_loops:
            node = self.lower_loop(node)
        else:
            node = map_blocks(node, lambda field, block: self._lower_part(node, field, block))
        if not rest:
            return [node]
        self.flag_used = True
        guarded = self.lower(rest)
        return [node, *statements("if not flag: rest", rest[0], flag=self.flag, rest=guarded)]

    def _lower_part(self, node: Any, field: str, block: list[Any]) -> list[Any]:
        lowered = self.lower(block)
        if isinstance(node, gast.Try) and field == "orelse" and block and self.flow(node.body) is not Flow.NEVER:
            # The `else` of a try runs only if its body was not left.
            self.flag_used = True
            return statements("if not flag: orelse", block[0], flag=self.flag, orelse=lowered)
        return lowered


def map_lowerable(tree: Any, exit_type: type, change: Callable[[Any], Any]) -> Any:
    """Replace each function definition by `change` of it, unless a `finally` in it has an exit of this type.

    Such an exit swallows the exception that is under way, which no flag does: the function stays as it is.
    """
    return map_functions(tree, lambda node: node if _exits_in_finally(node, exit_type) else change(node))


def _exits_in_finally(function: Any, exit_type: type) -> bool:
    def inside(node: Any, in_finally: bool) -> bool:
        if isinstance(node, exit_type) and in_finally:
            return True
        if isinstance(node, SCOPES) and node is not function:
            return False
        return any(
            inside(inner, in_finally or block is getattr(node, "finalbody", None))
            for block in statement_lists(node)
            for inner in block
        )

    return inside(function, False)

"""The body of a function that does what a program does, in plain statements of Python."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from d2s.runtime.errors import D2SError, Location
from d2s.runtime.ir.modes import Modes, entering, stays
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Raise,
    Return,
    Terminator,
    Value,
    While,
    Write,
    WriteKind,
    Yield,
    raises,
)
from d2s.runtime.source.conditions import condition_text, is_constant, negated, truth
from d2s.runtime.source.expressions import Expressions
from d2s.runtime.source.lines import Lines
from d2s.runtime.source.loops import Break, For
from d2s.runtime.source.trees import expression

_Finish = Callable[[Terminator], None]


class Statements:
    """Prints a program's blocks into `lines`."""

    def __init__(self, program: Program, expressions: Expressions, lines: Lines):
        self._program = program
        self._expressions = expressions
        self._lines = lines
        self._modes: Modes = program.modes

    def print_body(self) -> None:
        """Print all of the program."""
        self._block(self._program.body, self._leave)

    # -------------------------------------------------------------- blocks

    def _block(self, block: Block, finish: _Finish) -> None:
        """Print a block's ops, then its end by `finish`."""
        ops = [op for op in block.ops if not self._expressions.is_inlined(op)]
        while ops:
            ops = ops[self._run_of_ops(ops) :]
        end = block.terminator
        assert end is not None
        if isinstance(end, Branch):
            self._fork(end, finish)
        elif isinstance(end, Raise):
            self._writes(end.writes)
            error = self._tree(end.exception)
            self._statement(ast.Raise(error, getattr(error, "d2s_cause", None)))
        else:
            finish(end)

    def _fork(self, fork: Branch, finish: _Finish) -> None:
        condition, first, second = truth(self._tree(fork.condition)), fork.then, fork.orelse
        if _leaves(second) and (raises(second) or not _leaves(first)):
            condition, first, second = negated(condition), second, first
        if _leaves(first):
            with self._head("if", condition):
                self._block(first, finish)
            self._block(second, finish)
        else:
            self._alternatives(condition, [self._printed(side, finish) for side in (first, second)])

    def _printed(self, block: Block, finish: _Finish) -> list[str]:
        """The lines of a block; none if it does nothing."""
        with self._lines.apart() as lines:
            self._block(block, finish)
        return lines

    def _alternatives(self, condition: ast.expr, sides: list[list[str]], location: Location | None = None) -> None:
        then, orelse = sides
        if not then and orelse:
            condition, then, orelse = negated(condition), orelse, then
        with self._head("if", condition, location):
            self._lines.add(then)
        if orelse and _is_one_if(orelse):
            self._lines.add([f"el{orelse[0]}", *orelse[1:]])
        elif orelse:
            with self._lines.under("else:"):
                self._lines.add(orelse)

    def _run_of_ops(self, ops: Sequence[Op]) -> int:
        """Print the first ops, as many as run in a mode that is entered before them; how many they are."""
        outside, modes = self._modes, ops[0].modes
        if modes == outside:
            self._op(ops[0])
            return 1
        context, things, self._modes = entering(outside, modes)
        if things:
            raise D2SError("hooks of saved tensors can't be written as source")
        count = 0
        with self._lines.under(f"with {context}:"):
            while count < len(ops) and stays(self._modes, outside, ops[count].modes):
                count += self._run_of_ops(ops[count:])
        self._modes = outside
        return count

    def _leave(self, end: Terminator) -> None:
        assert isinstance(end, Return)
        self._writes(end.writes)
        self._statement(ast.Return(self._tree(end.value)))

    # -------------------------------------------------------------- ops

    def _op(self, op: Op) -> None:
        match op:
            case Call():
                self._call(op)
            case If():
                self._if(op)
            case While():
                self._while(op)

    def _call(self, op: Call) -> None:
        if self._expressions.is_attempt(op):
            return self._attempt(op)
        if self._expressions.is_used(op):
            target = self._target(op.result)
            self._statement(ast.Assign([target], self._expressions.call(op)), op.location)
        else:
            self._statement(self._expressions.statement(op), op.location)

    def _target(self, result: Any) -> ast.expr:
        if isinstance(result, tuple):
            return ast.Tuple(list(map(self._target, result)), ast.Store())
        return ast.Name(self._expressions.name(result) or "_", ast.Store())

    def _attempt(self, op: Call) -> None:
        """A call that may raise: whether it did, what that says, and its answer."""
        kind, function, *args = op.args
        failed, message, answer = op.result
        inner = Call(function, tuple(args), op.kwargs)
        with self._lines.under("try:", op.location):
            written = self._expressions.call(inner)
            used = self._is_used(answer)
            self._statement(ast.Assign([self._target(answer)], written) if used else ast.Expr(written))
        error = self._expressions.unused("error")
        kinds = ast.unparse(self._tree(kind))
        with self._lines.under(f"except {kinds} as {error}:" if self._is_used(message) else f"except {kinds}:"):
            text = expression(f"str({error}.args[0]) if {error}.args else ''")
            self._assign([failed, message], [ast.Constant(True), text])
            self._assign_nothing(answer, None)
        with self._lines.under("else:"):
            self._assign([failed], [ast.Constant(False)])
            self._assign_nothing(message, "")

    def _is_used(self, value: Any) -> bool:
        return self._expressions.name(value) is not None

    def _assign(self, targets: Sequence[Any], values: Sequence[ast.expr]) -> None:
        """Assign what is used afterwards."""
        for target, value in zip(targets, values, strict=True):
            if self._is_used(target):
                self._statement(ast.Assign([self._target(target)], value))

    def _assign_nothing(self, target: Any, filler: str | None) -> None:
        """Assign what is there instead of a value that there is not, unless the variable needs none."""
        if isinstance(target, Value) and not self._expressions.stays_unset(target, None):
            self._assign([target], [ast.Constant(filler)])

    def _if(self, op: If) -> None:
        condition = truth(self._tree(op.condition))
        sides = [self._printed(side, lambda end: self._move(op.results, _values(end))) for side in op.blocks]
        self._alternatives(condition, sides, op.location)

    def _while(self, op: While) -> None:
        self._move(op.params, op.inits, op.location)
        end = op.test.terminator
        simple = isinstance(end, Condition) and all(map(self._expressions.is_inlined, op.test.ops))
        if isinstance(op, For):
            items = self._expressions.items(op.over)
            head = f"for {self._expressions.name(op.item) or '_'} in {ast.unparse(items)}:"
        else:
            condition = truth(self._tree(end.go_on)) if simple and isinstance(end, Condition) else ast.Constant(True)
            head = f"while {condition_text(condition)}:"
        with self._lines.under(head, op.location):
            if not simple:
                self._block(op.test, lambda end: self._test(op, end))
            self._block(op.body, lambda end: self._next_trip(op, end))
        if simple and isinstance(end, Condition):
            self._move(op.results, end.exits)

    def _test(self, op: While, end: Terminator) -> None:
        assert isinstance(end, Condition)
        stop = negated(truth(self._tree(end.go_on)))
        if not is_constant(stop, False):
            with self._head("if", stop):
                self._move(op.results, end.exits)
                self._lines.line("break")

    def _next_trip(self, op: While, end: Terminator) -> None:
        self._move(op.params, _values(end))
        if isinstance(end, Break):
            self._lines.line("break")

    def _move(self, targets: Sequence[Value], trees: Sequence[Any], location: Location | None = None) -> None:
        """Have variables be what the trees are, all at once; what is in its variable already stays."""
        pairs = [
            (self._expressions.name(target), self._tree(tree))
            for target, tree in zip(targets, trees, strict=True)
            if not self._expressions.stays_unset(target, tree)
        ]
        moved = [(name, value) for name, value in pairs if name is not None and not _is_name(value, name)]
        if any(_reads(later, name) for place, (name, _) in enumerate(moved) for _, later in moved[place + 1 :]):
            names = ast.Tuple([ast.Name(name, ast.Store()) for name, _ in moved], ast.Store())
            self._statement(ast.Assign([names], ast.Tuple([value for _, value in moved], ast.Load())), location)
            return
        for name, value in moved:
            self._statement(ast.Assign([ast.Name(name, ast.Store())], value), location)

    # -------------------------------------------------------------- parts

    def _writes(self, writes: Sequence[Write]) -> None:
        for write in writes:
            place = ast.unparse(self._expressions.place(write.source))
            if write.kind is WriteKind.UNBIND:
                self._lines.line(f"del {place}")
                continue
            value = ast.unparse(self._tree(write.value))
            if write.kind is WriteKind.BIND:
                self._lines.line(f"{place} = {value}")
            elif isinstance(write.value, list):
                self._lines.line(f"{place}[:] = {value}")
            else:
                self._replace_contents(place, value, write.value)

    def _replace_contents(self, place: str, value: str, tree: Any) -> None:
        contents = self._expressions.unused("contents")
        self._lines.line(f"{contents} = {value}")
        self._lines.line(f"{place}.clear()")
        self._lines.line(f"{place}.{'update' if isinstance(tree, dict | set) else 'extend'}({contents})")

    @contextmanager
    def _head(self, word: str, condition: ast.expr, location: Location | None = None) -> Iterator[None]:
        with self._lines.under(f"{word} {condition_text(condition)}:", location):
            yield

    def _statement(self, statement: ast.stmt, location: Location | None = None) -> None:
        text = ast.unparse(ast.fix_missing_locations(statement))
        value = getattr(statement, "value", None)
        if isinstance(value, ast.Tuple) and len(value.elts) > 1:
            whole = ast.unparse(value)
            text = text.removesuffix(whole) + whole[1:-1]
        self._lines.line(text, location)

    def _tree(self, tree: Any) -> ast.expr:
        return self._expressions.tree(tree)


def _is_one_if(lines: list[str]) -> bool:
    """Whether lines are one `if` statement and nothing else."""
    own = [line for line in lines[1:] if not line.startswith(" ")]
    return lines[0].startswith("if ") and all(line.startswith(("elif ", "else:")) for line in own)


def _leaves(block: Block) -> bool:
    """Whether what follows a block never runs after it."""
    return all(isinstance(leaf.terminator, Return | Raise | Break) for leaf in block.leaves())


def _values(end: Terminator) -> list[Any]:
    assert isinstance(end, Yield | Continue)
    return end.values


def _is_name(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _reads(node: ast.expr, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))

"""Makes a program anew with some of it changed: its values, constants, sources or modes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    Effects,
    If,
    Input,
    Op,
    Program,
    Raise,
    Return,
    Terminator,
    Tree,
    Value,
    While,
    Write,
    Yield,
    map_tree,
    values_in,
)
from d2s.runtime.ir.sources import Source


class Rewriter:
    """A copy of programs, blocks and ops, which changes nothing: subclasses override what they change.

    What a program consists of is new in the copy, so that either can be edited without the other.
    """

    def value(self, value: Value) -> Any:
        """What stands for a value that is used: another value, or a constant."""
        return value

    def define(self, value: Value) -> Value:
        """The value that an op defines in place of this one."""
        return value

    def constant(self, constant: Any) -> Any:
        """What stands for a constant."""
        return constant

    def source(self, source: Source) -> Source:
        """Where an input is read or a write goes to."""
        return source

    def modes(self, modes: Modes) -> Modes:
        """The modes that an op runs in."""
        return modes

    # -------------------------------------------------------------- parts

    def program(self, program: Program) -> Program:
        """A whole program."""
        inputs = [Input(self.define(one.value), self.source(one.source), one.role) for one in program.inputs]
        return Program(program.name, inputs, self.block(program.body), self.modes(program.modes), dict(program.names))

    def block(self, block: Block) -> Block:
        """A block with all that is inside it."""
        ops = list(map(self.op, block.ops))
        return Block(ops, None if block.terminator is None else self.terminator(block.terminator))

    def op(self, op: Op) -> Op:
        """One op."""
        match op:
            case Call():
                return self._call(op)
            case If():
                condition = self.value(op.condition)
                then, orelse = self.block(op.then), self.block(op.orelse)
                results = list(map(self.define, op.results))
                return If(condition, then, orelse, results, self.modes(op.modes), op.location)
            case While():
                inits = self.tree(op.inits)
                params = list(map(self.define, op.params))
                test, body = self.trip(op)
                results = list(map(self.define, op.results))
                return While(params, inits, test, body, results, self.modes(op.modes), op.location)

    def trip(self, op: While) -> tuple[Block, Block]:
        """The test and the body of a loop; the body sees what the test defines."""
        return self.block(op.test), self.block(op.body)

    def _call(self, op: Call) -> Call:
        args, kwargs = self.tree(op.args), self.tree(op.kwargs)
        writes, aliases = (tuple(values_in(self.tree(one))) for one in (op.effects.writes, op.effects.aliases))
        effects = Effects(writes, aliases, op.effects.random, op.effects.ordered)
        result = map_tree(lambda leaf: self.define(leaf) if isinstance(leaf, Value) else leaf, op.result)
        return Call(op.target, args, kwargs, result, effects, self.modes(op.modes), op.location)

    def terminator(self, terminator: Terminator) -> Terminator:
        """The end of a block."""
        match terminator:
            case Yield(values):
                return Yield(self.tree(values))
            case Continue(values):
                return Continue(self.tree(values))
            case Condition(go_on, exits):
                return Condition(self.tree(go_on), self.tree(exits))
            case Return(value, writes):
                return Return(self.tree(value), list(map(self._write, writes)))
            case Raise(exception, writes):
                return Raise(self.tree(exception), list(map(self._write, writes)))
            case Branch(condition, then, orelse):
                return Branch(self.value(condition), self.block(then), self.block(orelse))

    def tree(self, tree: Tree) -> Any:
        """A tree of values and constants."""
        return map_tree(lambda leaf: self.value(leaf) if isinstance(leaf, Value) else self.constant(leaf), tree)

    def _write(self, write: Write) -> Write:
        return Write(write.kind, self.source(write.source), self.tree(write.value))


class _WithSources(Rewriter):
    def __init__(self, new: Callable[[Source], Source]):
        self._new = new

    def source(self, source: Source) -> Source:
        return self._new(source)


def with_sources(program: Program, new: Callable[[Source], Source]) -> Program:
    """The program with other sources."""
    return _WithSources(new).program(program)

"""Builds a program op by op, with the state of a module as its inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import Location
from d2s.runtime.ir.program import (
    PURE,
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    Effects,
    If,
    Input,
    Program,
    PythonType,
    Raise,
    Return,
    Role,
    Terminator,
    Tree,
    Value,
    ValueType,
    While,
    Write,
    WriteKind,
    Yield,
)
from d2s.runtime.ir.sources import Argument, Member, Source
from d2s.runtime.source.hints import name_joins
from d2s.runtime.standalone.module import ROOT, Part, StaticModule

TENSOR = PythonType(torch.Tensor)


class Builder:
    """What is built so far: ops go into `block`, which a fork replaces by the block of its side that goes on."""

    def __init__(self, module: StaticModule, kind_of: Callable[[torch.Tensor], ValueType] = lambda tensor: TENSOR):
        """`kind_of` gives the type of a tensor of the module's."""
        self.module = module
        self._kind_of = kind_of
        self.block = Block()
        self.names: dict[Value, str] = {}
        self.location: Location | None = None
        # What has been written to attributes up to here, by their paths.
        self.written: dict[Source, Tree] = {}
        # Whether the block has raised, so that what comes does not run.
        self.dead = False
        self._inputs: dict[Source, Input] = {}
        self._number = 0

    # -------------------------------------------------------------- values

    def value(self, kind: ValueType, name: str = "") -> Value:
        """A new value, which the graph had this name for."""
        made = Value(self._number, kind)
        self._number += 1
        if name:
            self.names[made] = name
        return made

    def input(self, source: Source, kind: ValueType, role: Role) -> Value:
        """What is found at a path when the program is called."""
        if source not in self._inputs:
            self._inputs[source] = Input(Value(-len(self._inputs) - 1, kind), source, role)
        return self._inputs[source].value

    def attribute(self, base: Source, part: Part, name: str) -> Tree:
        """What an attribute of a part holds."""
        source = self.place(base, part, name)
        if source in self.written:
            return self.written[source]
        thing = source.of(part)
        if thing is None:
            return None
        roles = {"_parameters": Role.PARAMETER, "_buffers": Role.BUFFER}
        kind = self._kind_of(thing) if isinstance(thing, torch.Tensor) else PythonType(type(thing))
        return self.input(source, kind, roles.get(source.table, Role.ARGUMENT))

    def place(self, base: Source, part: Part, name: str) -> Member:
        """The path to an attribute of a part."""
        table = next((table for table in ("_parameters", "_buffers") if name in vars(part)[table]), "")
        return Member(base, table, name)

    def constant(self, tensor: torch.Tensor, wanted: str = "constant") -> Value:
        """A tensor that the graph holds: a buffer of the module, by this name if that is free."""
        for name in self.module.d2s_constants:
            if self.module._buffers[name] is tensor:
                break
        else:
            name = wanted.replace(".", "_")
            while hasattr(self.module, name) or name in self.module.d2s_signature.parameters:
                name += "_"
            self.module.register_buffer(name, tensor.detach(), persistent=False)
            self.module.d2s_constants.add(name)
        return self.input(Member(Argument(ROOT), "_buffers", name), self._kind_of(tensor), Role.BUFFER)

    # -------------------------------------------------------------- ops

    def call(
        self, target: Any, args: tuple[Tree, ...], kwargs: dict[str, Tree], result: Tree, effects: Effects = PURE
    ) -> Tree:
        """Emit a call; its result."""
        self.block.ops.append(Call(target, args, kwargs, result, effects, location=self.location))
        return result

    def branch(self, condition: Tree, sides: list[Callable[[], list[Tree]]], kinds: list[ValueType]) -> list[Tree]:
        """One of two blocks, each made by a function that gives its results; the results."""
        if not isinstance(condition, Value):
            return sides[0 if condition else 1]()
        location = self.location
        before, outside = self.written, self.block
        made = []
        for side in sides:
            self.written, self.block, self.dead = dict(before), Block(), False
            first, results = self.block, side()
            made.append((first, self.block, results, self.written, self.dead))
        self.written, self.block, self.dead = dict(before), outside, False
        alive = [one for one in made if not one[4]]
        if len(alive) < 2:
            outside.terminator = Branch(condition, made[0][0], made[1][0])
            self.dead = not alive
            if alive:
                _, self.block, results, self.written, _ = alive[0]
                return results
            self.block = Block()
            return [None] * len(kinds)
        changed = self._changed(before, [one[3] for one in made])
        values = [self.value(kind) for kind in (*kinds, *(PythonType() for _ in changed))]
        for _, last, results, written, _ in made:
            last.terminator = Yield([*results, *(self._now(source, written) for source in changed)])
        outside.ops.append(If(condition, made[0][0], made[1][0], values, location=location))
        self.written.update(zip(changed, values[len(kinds) :], strict=True))
        return list(values[: len(kinds)])

    def _changed(self, before: dict[Source, Tree], after: list[dict[Source, Tree]]) -> list[Source]:
        found = {source: None for one in after for source, tree in one.items() if before.get(source) is not tree}
        return list(found)

    def _now(self, source: Source, written: dict[Source, Tree]) -> Tree:
        return written[source] if source in written else self.input(source, PythonType(), Role.ARGUMENT)

    def loop(
        self,
        inits: list[Tree],
        kinds: list[ValueType],
        test: Callable[[list[Value]], Tree],
        body: Callable[[list[Value]], list[Tree]],
    ) -> list[Value]:
        """A loop over carried values; `test` and `body` are given their parameters. The values after it."""
        location, outside, before = self.location, self.block, dict(self.written)
        self._scratch(lambda: body([self.value(kind) for kind in kinds]))
        changed = self._changed(before, [self.written])
        all_kinds = [*kinds, *(PythonType() for _ in changed)]
        params, results = ([self.value(kind) for kind in all_kinds] for _ in range(2))
        starts = [*inits, *(self._now(source, before) for source in changed)]
        self.written = {**before, **dict(zip(changed, params[len(kinds) :], strict=True))}
        test_block = self.block = Block()
        go_on = test(params[: len(kinds)])
        self.block.terminator = Condition(go_on, list(params))
        body_block = self.block = Block()
        carried = body(params[: len(kinds)])
        if not self.dead:
            self.block.terminator = Continue([*carried, *(self.written[source] for source in changed)])
        self.block, self.dead = outside, False
        outside.ops.append(While(params, starts, test_block, body_block, results, location=location))
        self.written = {**before, **dict(zip(changed, results[len(kinds) :], strict=True))}
        return results[: len(kinds)]

    def _scratch(self, build: Callable[[], Any]) -> None:
        """Build into nowhere, to see what it writes."""
        outside, self.block = self.block, Block()
        build()
        self.block, self.dead = outside, False

    # -------------------------------------------------------------- ends

    def raises(self, exception: Tree) -> None:
        """End the block by raising."""
        self._end(Raise(exception, self._writes()))
        self.dead = True

    def returns(self, answer: Tree) -> None:
        """End the program."""
        if not self.dead:
            self._end(Return(answer, self._writes()))

    def _end(self, terminator: Terminator) -> None:
        self.block.terminator = terminator
        self.block = Block()

    def _writes(self) -> list[Write]:
        return [Write(WriteKind.BIND, source, tree) for source, tree in self.written.items()]

    def program(self, body: Block) -> Program:
        """The program with this body."""
        program = Program(self.module.d2s_name, list(self._inputs.values()), body)
        program.names = {value: name for value, name in self.names.items() if name}
        name_joins(program, program.names)
        return program

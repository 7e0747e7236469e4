"""The "torch" backend: prints a program as one flat Python function of torch calls and compiles it."""

from __future__ import annotations

import keyword
import math
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.backend.generated import run_source
from d2s.runtime.backend.placing import target_of
from d2s.runtime.errors import Location, RaisedAfterWrites
from d2s.runtime.ir.liveness import deaths, terminator_uses
from d2s.runtime.ir.modes import entering, stays
from d2s.runtime.ir.names import infix_symbol, is_in_its_place, qualified_name
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    PythonType,
    Raise,
    Return,
    Terminator,
    Value,
    While,
    Write,
    Yield,
    raises,
)

_PRINTED_AS_THEY_ARE = (bool, int, str, bytes, type(None), type(...))


@dataclass(frozen=True)
class CompiledProgram:
    """A program as Python: `run(*inputs)` gives the answer, the writes of the end it took, and their values.

    `source` is what `run` was compiled from, `lines` says where in the user's code a line of it comes from. `calls`
    are the calls that lines make, and `loops` the first and the last lines of loops that are in no other.
    """

    run: Callable[..., tuple[Any, Sequence[Write], tuple[Any, ...]]]
    source: str
    lines: dict[int, Location]
    program: Program
    calls: dict[int, Call]
    loops: list[tuple[int, int]]


def compile_program(program: Program) -> CompiledProgram:
    """Compile a verified program. The source is registered with `linecache`, so tracebacks show it."""
    printer = _Printer(program)
    printer.print_function()
    source = "\n".join(printer.lines) + "\n"
    namespace: dict[str, Any] = {"torch": torch, "operator": operator}
    namespace.update(printer.constants)
    run_source(source, f"program {program.name}", namespace)
    run = namespace[printer.name]
    return CompiledProgram(run, source, printer.locations, program, printer.calls, printer.loops)


class _Printer:
    """Prints one program; `lines` and `constants` are what it has printed."""

    def __init__(self, program: Program):
        self.program = program
        self.name = program.name if program.name.isidentifier() else "program"
        self.lines: list[str] = []
        self.constants: dict[str, Any] = {}
        self.locations: dict[int, Location] = {}
        self.calls: dict[int, Call] = {}
        self.loops: list[tuple[int, int]] = []
        self._constant_names: dict[int, str] = {}
        self._depth = 0
        self._modes = program.modes

    def _line(self, text: str, location: Location | None = None) -> None:
        self.lines.append("    " * self._depth + text)
        if location is not None:
            self.locations[len(self.lines)] = location

    @contextmanager
    def _indented(self, head: str, location: Location | None = None) -> Iterator[None]:
        self._line(head, location)
        self._depth += 1
        yield
        self._depth -= 1

    def print_function(self) -> None:
        """Print the whole program."""
        with self._indented(f"def {self.name}({', '.join(str(entry.value) for entry in self.program.inputs)}):"):
            self._block(self.program.body, self._leave)

    # -------------------------------------------------------------- blocks

    def _block(self, block: Block, finish: Callable[[Terminator], None]) -> None:
        """Print a block's ops, then its end by `finish`, which must leave a forked block for good."""
        start = len(self.lines)
        steps = list(zip(block.ops, deaths(block), strict=True))
        while steps:
            steps = steps[self._run_of_ops(steps) :]
        ending = block.terminator
        assert ending is not None
        if isinstance(ending, Branch) and raises(ending.orelse):
            with self._indented(f"if not {ending.condition}:"):
                self._block(ending.orelse, finish)
            self._block(ending.then, finish)
        elif isinstance(ending, Branch):
            with self._indented(f"if {ending.condition}:"):
                self._block(ending.then, finish)
            self._block(ending.orelse, finish)  # flat: CPython allows 100 levels of indentation
        elif isinstance(ending, Raise):
            self._raise(ending)
        else:
            finish(ending)
        if len(self.lines) == start:
            self._line("pass")

    def _run_of_ops(self, steps: Sequence[tuple[Op, list[Value]]]) -> int:
        """Print the first ops, as many as run in a mode that is entered before them; how many they are."""
        outside, modes = self._modes, steps[0][0].modes
        if modes == outside:
            self._op(*steps[0])
            return 1
        context, things, self._modes = entering(outside, modes)
        context = context.format(*map(self._constant, things))
        count = 0
        with self._indented(f"with {context}:"):
            while count < len(steps) and stays(self._modes, outside, steps[count][0].modes):
                count += self._run_of_ops(steps[count:])
        self._modes = outside
        return count

    def _leave(self, ending: Terminator) -> None:
        assert isinstance(ending, Return)
        self._line(f"return {self._tree(ending.value)}, {self._writes(ending.writes)}")

    def _raise(self, ending: Raise) -> None:
        exception = self._tree(ending.exception)
        if ending.writes:
            exception = f"{self._constant(RaisedAfterWrites)}({exception}, {self._writes(ending.writes)})"
        self._line(f"raise {exception}")

    def _writes(self, writes: list[Write]) -> str:
        values = self._tree(tuple(write.value for write in writes))
        return f"{self._constant(writes) if writes else '()'}, {values}"

    # -------------------------------------------------------------- ops

    def _op(self, op: Op, dying: list[Value]) -> None:
        if isinstance(op, Call):
            self._call(op, dying)
            dying = [value for value in dying if value not in op.results]
        elif isinstance(op, If):
            self._if(op)
        else:
            self._while(op)
            dying = [*op.params, *dying]
        self._delete(dying)

    def _delete(self, values: Iterable[Value]) -> None:
        """Free what may be large: not numbers and flags."""
        names = [str(value) for value in values if not isinstance(value.type, PythonType)]
        if names:
            self._line(f"del {', '.join(names)}")

    def _call(self, op: Call, dying: list[Value]) -> None:
        used = [value for value in op.results if value not in dying]
        head = f"{self._target(op.result)} = " if used else ""
        self._line(head + self._expression(op), op.location)
        self.calls[len(self.lines)] = op
        if used:
            self._delete(value for value in op.results if value in dying)

    def _expression(self, op: Call) -> str:
        arguments = [self._tree(arg) for arg in op.args]
        symbol = infix_symbol(op.target)
        if symbol is not None:
            # A minus binds less than a power.
            return f" {symbol} ".join(f"({text})" if text.startswith("-") else text for text in arguments)
        named = {name: self._tree(arg) for name, arg in op.kwargs.items()}
        words = [f"{name!r}: {text}" for name, text in named.items() if keyword.iskeyword(name)]
        arguments += [f"{name}={text}" for name, text in named.items() if not keyword.iskeyword(name)]
        arguments += [f"**{{{', '.join(words)}}}"] if words else []
        name = qualified_name(op.target)
        function = name if name and is_in_its_place(op.target) else self._constant(target_of(op))
        return f"{function}({', '.join(arguments)})"

    def _target(self, result: Any) -> str:
        if isinstance(result, tuple):
            return "(" + "".join(f"{self._target(part)}, " for part in result) + ")"
        return "_" if result is None else str(result)

    def _if(self, op: If) -> None:
        with self._indented(f"if {op.condition}:", op.location):
            self._side(op.then, op.results)
        if op.orelse.ops or op.results or not isinstance(op.orelse.terminator, Yield):
            with self._indented("else:"):
                self._side(op.orelse, op.results)

    def _side(self, block: Block, results: list[Value]) -> None:
        self._block(block, lambda ending: self._assign(results, _values(ending)))
        own = {value for op in block.ops for value in op.results}
        self._delete(value for value in terminator_uses(block) if value in own)

    def _while(self, op: While) -> None:
        self._assign(op.params, op.inits)
        start = len(self.lines) + 1
        with self._indented("while True:", op.location):
            self._block(op.test, lambda ending: self._test(op, ending))
            forked = isinstance(op.body.terminator, Branch)
            self._block(op.body, lambda ending: self._next_trip(op, ending, forked))
        self.loops = [loop for loop in self.loops if loop[0] < start] + [(start, len(self.lines))]

    def _test(self, op: While, ending: Terminator) -> None:
        assert isinstance(ending, Condition)
        with self._indented(f"if not {self._tree(ending.go_on)}:"):
            self._assign(op.results, ending.exits)
            self._line("break")

    def _next_trip(self, op: While, ending: Terminator, forked: bool) -> None:
        self._assign(op.params, _values(ending))
        if forked:
            self._line("continue")

    def _assign(self, targets: Sequence[Value], values: Sequence[Any]) -> None:
        pairs = [(str(t), self._tree(v)) for t, v in zip(targets, values, strict=True) if t != v]
        if pairs:
            self._line(f"{', '.join(t for t, _ in pairs)} = {', '.join(v for _, v in pairs)}")

    # -------------------------------------------------------------- trees

    def _tree(self, tree: Any) -> str:
        kind = type(tree)
        if kind is Value:
            return str(tree)
        if kind is tuple:
            return "(" + ", ".join(map(self._tree, tree)) + (",)" if len(tree) == 1 else ")")
        if kind is list:
            return "[" + ", ".join(map(self._tree, tree)) + "]"
        if kind is dict:
            return "{" + ", ".join(f"{self._tree(k)}: {self._tree(v)}" for k, v in tree.items()) + "}"
        if kind is slice:
            return f"slice({', '.join(self._tree(part) for part in (tree.start, tree.stop, tree.step))})"
        if kind in _PRINTED_AS_THEY_ARE:
            return repr(tree)
        if kind is float:
            return repr(tree) if math.isfinite(tree) else f"float({str(tree)!r})"
        if kind is torch.dtype or kind is torch.device:
            return repr(tree) if kind is torch.dtype else f"torch.{tree!r}"
        builtin = qualified_name(tree) if isinstance(tree, type) else None
        return builtin or self._constant(tree)

    def _constant(self, value: Any) -> str:
        """The name of an object that can't be written down."""
        name = self._constant_names.get(id(value))
        if name is None:
            stem = getattr(value, "__name__", type(value).__name__)
            name = f"c{len(self.constants)}_{stem}" if stem.isidentifier() else f"c{len(self.constants)}"
            self._constant_names[id(value)] = name
            self.constants[name] = value
        return name


def _values(ending: Terminator) -> list[Any]:
    assert isinstance(ending, Yield | Continue)
    return ending.values

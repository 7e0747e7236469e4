"""The way into a program: one generated function that checks the guards and fetches the inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from d2s.runtime.backend.generated import run_source
from d2s.runtime.ir.program import Program, TensorType
from d2s.runtime.ir.sources import Argument, Attribute, Cell, Constant, Global, Item, Member, Source
from d2s.runtime.recording.guards import Guard, HasForm, IsObject, IsSame, IsTensor, IsValue
from d2s.runtime.torch_internals import AUTOCAST_DEVICES

# Given the arguments in order: the inputs of the program, or None if it is not for these arguments.
Entry = Callable[..., tuple[Any, ...] | None]


def compile_entry(program: Program, parameters: Sequence[str], guards: Sequence[Guard]) -> tuple[Entry, str]:
    """The entry of a program for a function with these parameters, and its source."""
    printer = _Printer(parameters)
    printer.modes(program)
    for guard in guards:
        printer.guard(guard)
    printer.fetch(program)
    source = "\n".join(printer.lines) + "\n"
    run_source(source, f"guards of {program.name}", printer.constants)
    return printer.constants["entry"], source


class _Printer:
    def __init__(self, parameters: Sequence[str]):
        self.names: dict[Source, str] = {Argument(name): f"v{number}" for number, name in enumerate(parameters)}
        self.constants: dict[str, Any] = {"torch": torch}
        self.lines = [f"def entry({', '.join(self.names.values())}):"]

    def _line(self, text: str) -> None:
        self.lines.append("    " + text)

    def _constant(self, thing: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = thing
        return name

    # -------------------------------------------------------------- paths

    def path(self, source: Source) -> str:
        """The variable that holds the object at a path."""
        if source not in self.names:
            expression = self._expression(source)
            self.names[source] = name = f"v{len(self.names)}"
            self._line(f"{name} = {expression}")
        return self.names[source]

    def _expression(self, source: Source) -> str:
        match source:
            case Constant(value):
                return self._constant(value)
            case Global():
                return f"{self._constant(source.namespace)}[{source.name!r}]"
            case Cell(cell):
                return f"{self._constant(cell)}.cell_contents"
            case Attribute(base, name):
                return f"{self.path(base)}.{name}" if name.isidentifier() else f"getattr({self.path(base)}, {name!r})"
            case Member(base, table, name):
                return f"{self.path(base)}.{table}[{name!r}]"
            case Item(base, key):
                return f"{self.path(base)}[{repr(key) if type(key) in (int, str) else self._constant(key)}]"
        raise AssertionError(f"{source} is no parameter")

    # -------------------------------------------------------------- checks

    def modes(self, program: Program) -> None:
        """The modes of torch that the program was captured in."""
        self._require(f"torch.is_grad_enabled() is {program.modes.grad}")
        self._require(f"torch.is_inference_mode_enabled() is {program.modes.inference}")
        on = program.modes.autocast_dtypes
        for device in AUTOCAST_DEVICES:
            self._require(f"torch.is_autocast_enabled({device!r}) is {device in on}")
            if device in on:
                self._require(f"torch.get_autocast_dtype({device!r}) is {on[device]}")

    def _require(self, condition: str) -> None:
        self._line(f"if not ({condition}): return None")

    def guard(self, guard: Guard) -> None:
        """One guard."""
        name, check = self.path(guard.source), guard.check
        if isinstance(check, IsObject):
            self._require(f"{name} is {self._constant(check.thing)}")
        elif isinstance(check, IsValue):
            self._value(name, check.value)
        elif isinstance(check, IsTensor):
            self._tensor(name, check)
        elif isinstance(check, IsSame):
            self._require(f"{name} is {self.path(check.other)}")
        else:
            self._form(name, check)

    def _value(self, name: str, value: Any) -> None:
        if type(value) is bool:
            self._require(f"{name} is {value}")
        elif type(value) is float:
            # nan is not equal to itself, and 0.0 is to -0.0.
            self._require(f"type({name}) is float and repr({name}) == {repr(value)!r}")
        elif type(value) in (int, str):
            self._require(f"type({name}) is {type(value).__name__} and {name} == {value!r}")
        else:
            self._require(f"type({name}) is {self._constant(type(value))} and {name} == {self._constant(value)}")

    def _tensor(self, name: str, check: IsTensor) -> None:
        kind = check.type
        self._require(
            f"type({name}) is {self._constant(check.cls)} and {name}.dtype is {kind.dtype} "
            f"and {name}.shape == {tuple(kind.shape)} and {name}.requires_grad is {kind.requires_grad} "
            f"and {name}.device == {self._constant(kind.device)} and {name}.is_leaf is {check.leaf}"
        )
        if check.has_grad is not None:
            self._require(f"({name}.grad is not None) is {check.has_grad}")

    def _form(self, name: str, check: HasForm) -> None:
        conditions = [f"type({name}) is {self._constant(check.cls)}"]
        if check.length is not None:
            conditions.append(f"len({name}) == {check.length}")
        if check.keys is not None:
            conditions.append(f"tuple({name}) == {self._constant(check.keys)}")
        self._require(" and ".join(conditions))

    # -------------------------------------------------------------- inputs

    def fetch(self, program: Program) -> None:
        """The end: different tensors among the inputs must still be different, and all are handed over."""
        inputs = [self.path(entry.source) for entry in program.inputs]
        tensors = [
            self.path(entry.source)
            for entry in program.inputs
            if not isinstance(entry.source, Constant) and isinstance(entry.value.type, TensorType)
        ]
        if len(tensors) > 1:
            self._require(f"len({{{', '.join(f'id({name})' for name in tensors)}}}) == {len(tensors)}")
        self._line(f"return ({''.join(name + ', ' for name in inputs)})")

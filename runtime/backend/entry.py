"""The way into a program: one generated function that checks the guards and fetches the inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.backend.generated import run_source
from d2s.runtime.ir.program import Call, Program, Role, TensorType, walk_ops
from d2s.runtime.ir.sources import (
    LOST,
    Argument,
    Attribute,
    Cell,
    ClassEntry,
    Constant,
    ContextValue,
    Derived,
    Global,
    Item,
    Member,
    Setting,
    Source,
    class_entry,
    is_empty,
    read,
)
from d2s.runtime.recording.checks import (
    Differs,
    Guard,
    HasContents,
    HasForm,
    HasMembers,
    HasText,
    IsEmpty,
    IsFunction,
    IsMissing,
    IsObject,
    IsSame,
    IsTensor,
    IsValue,
    Lacks,
)
from d2s.runtime.recording.places import MISSING
from d2s.runtime.recording.recorder import type_of
from d2s.runtime.recording.structures import contents_of
from d2s.runtime.recording.words import in_words
from d2s.runtime.torch_internals.calls import tensor_check
from d2s.runtime.torch_internals.effects import is_view_of_leaf, storage_key
from d2s.runtime.torch_internals.modes import AUTOCAST_DEVICES, any_autocast

# Given the arguments in order: the inputs of the program, or None if it is not for these arguments.
Entry = Callable[..., tuple[Any, ...] | None]


def compile_entry(program: Program, arguments: Mapping[str, Any], guards: Sequence[Guard]) -> tuple[Entry, str]:
    """The entry of a program that was captured for these arguments, by parameter, and its source."""
    printer = _Printer(arguments)
    printer.modes(program)
    for guard in guards:
        printer.guard(guard)
    printer.check_tensors()
    printer.fetch(program)
    source = "\n".join([*printer.lines, "    except lost: return None"]) + "\n"
    run_source(source, f"guards of {program.name}", printer.constants)
    return printer.constants["entry"], source


def failing(program: Program, arguments: Mapping[str, Any], guards: Sequence[Guard]) -> str | None:
    """What keeps a program from being for these arguments, in words; None if it is for them."""

    def holds(*given: Guard) -> bool:
        return compile_entry(replace(program, inputs=[]), arguments, given)[0](*arguments.values()) is not None

    if not holds():
        return "the modes of torch must be the same"
    found = next((guard for guard in guards if not holds(guard)), None)
    if found is not None:
        return in_words(found)
    is_for_them = compile_entry(program, arguments, guards)[0](*arguments.values()) is not None
    return None if is_for_them else "the tensors must be as many, and share memory as they did"


class _Printer:
    def __init__(self, arguments: Mapping[str, Any]):
        self.arguments = arguments
        self.names: dict[Source, str] = {Argument(name): f"v{number}" for number, name in enumerate(arguments)}
        self.tensors: dict[Source, IsTensor] = {}
        self.dicts: dict[Source, str] = {}
        self.constants: dict[str, Any] = {"torch": torch, "lost": LOST, "any_autocast": any_autocast}
        self.lines = [f"def entry({', '.join(self.names.values())}):", "    try:"]

    def _line(self, text: str) -> None:
        self.lines.append("        " + text)

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

    def own_dict(self, base: Source) -> str:
        """The variable that holds the dict of the module at a path."""
        if base not in self.dicts:
            self.dicts[base] = name = f"d{len(self.dicts)}"
            self._line(f"{name} = {self.path(base)}.__dict__")
        return self.dicts[base]

    def _expression(self, source: Source) -> str:
        match source:
            case Constant(value):
                return self._constant(value)
            case Global():
                return f"{self._constant(source.namespace)}[{source.name!r}]"
            case Cell(cell):
                return f"{self._constant(cell)}.cell_contents"
            case ContextValue(variable):
                return f"{self._constant(variable)}.get()"
            case Attribute(base, name):
                return f"{self.path(base)}.{name}" if name.isidentifier() else f"getattr({self.path(base)}, {name!r})"
            case Member(base, "", name):
                return f"{self.own_dict(base)}[{name!r}]"
            case Member(base, table, name):
                return f"{self.path(Member(base, '', table))}[{name!r}]"
            case Item(base, key):
                return f"{self.path(base)}[{repr(key) if type(key) in (int, str) else self._constant(key)}]"
            case Derived(base, function):
                return f"{self._constant(function)}({self.path(base)})"
            case ClassEntry(owner, name):
                return self._class_entry(owner, name)
            case Setting(function, args):
                return f"{self._constant(function)}({', '.join(map(self._constant, args))})"
        raise AssertionError(f"{source} is no parameter")

    def _class_entry(self, cls: type, name: str) -> str:
        """A class gives most entries, such as functions, as they are, and quickly."""
        is_itself = getattr(cls, name, None) is class_entry(cls, name, MISSING) and name.isidentifier()
        kind = self._constant(cls)
        return f"{kind}.{name}" if is_itself else f"{self._constant(class_entry)}({kind}, {name!r})"

    # -------------------------------------------------------------- checks

    def modes(self, program: Program) -> None:
        """The modes of torch that the program was captured in."""
        grad, inference, dtype = map(
            self._constant, (torch.is_grad_enabled, torch.is_inference_mode_enabled, torch.get_default_dtype)
        )
        now = program.modes
        self._require(f"{grad}() is {now.grad} and {inference}() is {now.inference} and {dtype}() is {now.dtype}")
        on = program.modes.autocast_dtypes
        if not on:
            switched = " or ".join(f"torch.is_autocast_enabled({device!r})" for device in AUTOCAST_DEVICES)
            self._require(f"not any_autocast() or not ({switched})")
            return
        for device in AUTOCAST_DEVICES:
            self._require(f"torch.is_autocast_enabled({device!r}) is {device in on}")
            if device in on:
                self._require(f"torch.get_autocast_dtype({device!r}) is {on[device]}")

    def _require(self, condition: str) -> None:
        self._line(f"if not ({condition}): return None")

    def guard(self, guard: Guard) -> None:
        """One guard."""
        if isinstance(guard.check, IsMissing):
            self._missing(guard.source)
            return
        if isinstance(guard.check, Lacks):
            self._lacks(self._expression(guard.source), guard.check)
            return
        if isinstance(guard.check, IsEmpty):
            self._require(f"not {self._expression(guard.source)}")
            return
        name, check = self.path(guard.source), guard.check
        if isinstance(check, IsObject):
            self._require(f"{name} is {self._constant(check.thing)}")
        elif isinstance(check, IsFunction):
            self._function(name, check)
        elif isinstance(check, IsValue):
            self._value(name, check.value)
        elif isinstance(check, IsTensor):
            self._tensor(guard.source, check)
        elif isinstance(check, IsSame):
            self._require(f"{name} is {self.path(check.other)}")
        elif isinstance(check, Differs):
            self._differ([name, *map(self.path, check.others)])
        elif isinstance(check, HasContents):
            of, contents = self._constant(contents_of), self._constant(check.contents)
            self._of_class(name, check.cls, f"{of}({name}) == {contents}")
        elif isinstance(check, HasMembers):
            self._of_class(name, check.cls, self._gives(name, check.members))
        elif isinstance(check, HasText):
            self._of_class(name, check.cls, f"repr({name}) == {check.text!r}")
        else:
            self._form(name, check)

    def _differ(self, names: list[str]) -> None:
        self._require(f"len({{{', '.join(f'id({name})' for name in names)}}}) == {len(names)}")

    def _function(self, name: str, check: IsFunction) -> None:
        conditions = [
            f"{name} is {self._constant(check.function)}",
            f"{name}.__code__ is {self._constant(check.code)}",
            f"{name}.__defaults__ is {self._constant(check.defaults)}",
        ]
        if not check.has_attributes:
            conditions.append(f"not {name}.__dict__")
        self._require(" and ".join(conditions))

    def _gives(self, name: str, members: tuple[Any, ...]) -> str:
        """That a container gives these in this order: equal, and of the same classes."""
        kinds = self._constant(tuple(map(type, members)))
        return f"tuple({name}) == {self._constant(members)} and tuple(map(type, {name})) == {kinds}"

    def _of_class(self, name: str, cls: type, condition: str) -> None:
        self._require(f"type({name}) is {self._constant(cls)} and {condition}")

    def _value(self, name: str, value: Any) -> None:
        if type(value) is bool or value is None:
            self._require(f"{name} is {value}")
        elif type(value) in (float, complex):
            # nan is not equal to itself, and 0.0 is to -0.0.
            self._require(f"type({name}) is {type(value).__name__} and repr({name}) == {repr(value)!r}")
        elif type(value) in (int, str):
            self._require(f"type({name}) is {type(value).__name__} and {name} == {value!r}")
        elif isinstance(value, int | str | bytes | float | complex):
            # A class of the user's may have an `__eq__` of its own.
            plain = next(kind for kind in (int, str, bytes, float, complex) if isinstance(value, kind)).__repr__
            self._of_class(name, type(value), f"{self._constant(plain)}({name}) == {plain(value)!r}")
        else:
            self._of_class(name, type(value), f"{name} == {self._constant(value)}")

    def _missing(self, source: Source) -> None:
        if isinstance(source, Member):
            self._require(f"{source.name!r} not in {self.own_dict(source.base)}")
        elif isinstance(source, ClassEntry):
            missing = self._constant(MISSING)
            found = f"{self._constant(class_entry)}({self._constant(source.owner)}, {source.name!r}, {missing})"
            self._require(f"{found} is {missing}")
        elif isinstance(source, ContextValue):
            missing = self._constant(MISSING)
            self._require(f"{self._constant(source.variable)}.get({missing}) is {missing}")
        elif isinstance(source, Cell):
            self._require(f"{self._constant(is_empty)}({self._constant(source.cell)})")
        elif isinstance(source, Global):
            self._require(f"{source.name!r} not in {self._constant(source.namespace)}")
        elif isinstance(source, Item):
            self._require(f"{self._constant(source.key)} not in {self.path(source.base)}")
        elif isinstance(source, Derived):
            self._require(f"{self._expression(source)} is {self._constant(MISSING)}")
        else:
            assert isinstance(source, Attribute)
            self._require(f"not hasattr({self.path(source.base)}, {source.name!r})")

    def _lacks(self, entries: str, check: Lacks) -> None:
        is_as_it_was = "" if check.length is None else f"len({entries}) == {check.length} or "
        self._require(f"{is_as_it_was}{entries}.keys().isdisjoint({self._constant(check.names)})")

    def _tensor(self, source: Source, check: IsTensor) -> None:
        name = self.path(source)
        self.tensors[source] = check
        if None in check.type.shape:
            self._require(f"{name}.is_contiguous()")
        if check.type.requires_grad and check.cls is not torch.nn.Parameter:  # others are leaves
            self._require(f"{name}.is_leaf is {check.leaf}")
            if not check.leaf:
                self._require(f"{self._constant(is_view_of_leaf)}({name}) is {check.of_leaf}")
        if check.has_grad is not None:
            self._require(f"({name}.grad is not None) is {check.has_grad}")

    def _form(self, name: str, check: HasForm) -> None:
        conditions = [f"type({name}) is {self._constant(check.cls)}"]
        if check.length is not None:
            conditions.append(f"len({name}) == {check.length}")
        if check.keys == ():
            conditions.append(f"not {name}")
        elif check.keys is not None:
            conditions.append(self._gives(name, check.keys))
        self._require(" and ".join(conditions))

    def check_tensors(self) -> None:
        """The class, dtype, known sizes, strides, device and `requires_grad` of all tensors at once."""
        if self.tensors:
            tensors = [self._like(source, check) for source, check in self.tensors.items()]
            checks = self.tensors.values()
            like = tensor_check(tensors, [check.type.shape for check in checks], [check.strides for check in checks])
            self._require(f"{self._constant(like)}({', '.join(map(self.path, self.tensors))})")

    def _like(self, source: Source, check: IsTensor) -> torch.Tensor:
        """A tensor that the check lets in: the one that is there, else, in a module on its own, any."""
        try:
            found = read(source, self.arguments)
        except LOST:
            return check.stand_in()
        return found if type(found) is check.cls and check.type.covers(type_of(found)) else check.stand_in()

    # -------------------------------------------------------------- inputs

    def fetch(self, program: Program) -> None:
        """The end: different tensors among the inputs must still be different, and all are handed over.

        If something is written in place, as many of them must share memory. Else parameters are left out: there are
        many of them.
        """
        inputs = [self.path(entry.source) for entry in program.inputs]
        writes = any(isinstance(op, Call) and op.effects.writes for op in walk_ops(program.body))
        tensors = [
            entry.source
            for entry in program.inputs
            if not isinstance(entry.source, Constant)
            and isinstance(entry.value.type, TensorType)
            and (writes or entry.role is not Role.PARAMETER)
        ]
        if len(tensors) > 1:
            names = [self.path(source) for source in tensors]
            self._differ(names)
        if len(tensors) > 1 and writes:
            shared = len({self._memory(source) for source in tensors})
            key = self._constant(storage_key)
            self._require(f"len({{{', '.join(f'{key}({name})' for name in names)}}}) == {shared}")
        self._line(f"return ({''.join(name + ', ' for name in inputs)})")

    def _memory(self, source: Source) -> Any:
        """The memory of the tensor at a path; what is not there yet shares none."""
        try:
            return storage_key(read(source, self.arguments))
        except LOST:
            return source

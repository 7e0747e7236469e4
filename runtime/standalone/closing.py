"""Closes programs over the objects that they read: state becomes a module's, only data stays an argument."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.backend.execution import Executable
from d2s.runtime.errors import D2SError
from d2s.runtime.ir.program import Program
from d2s.runtime.ir.rewriting import with_sources
from d2s.runtime.ir.sources import (
    LOST,
    Argument,
    Attribute,
    Constant,
    Item,
    Member,
    Source,
    prefixes,
    read,
)
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Differs, Guard, HasForm, IsSame, IsTensor
from d2s.runtime.recording.lifting import LEAVES, attribute_source
from d2s.runtime.source.hints import names_of_values
from d2s.runtime.standalone.grad_modes import for_any_grad_mode
from d2s.runtime.standalone.merging import merged
from d2s.runtime.standalone.module import ROOT, Part, StaticModule, copied

_CONTAINERS = (list, tuple, dict, set, frozenset, deque)


def close(executables: Sequence[Executable]) -> StaticModule:
    """A module of these programs, which are of one function.

    Its parameters, buffers and submodules are those of the module that the function is a method of; what else the
    programs read that is no argument with data is a parameter, a buffer or an attribute of it under its own name.

    Raises:
        D2SError: a program uses an object that can't be part of a module.
    """
    first = executables[0]
    name = first.program.name if first.program.name.isidentifier() else "function"  # a lambda
    signature, owners = first.signature, _owners(executables)
    root = next(iter(owners.items()), (None, None))
    is_method = root[0] == next(iter(signature.parameters), None) and isinstance(root[1], torch.nn.Module)
    kind = root[1]._get_name() if is_method else name  # type: ignore[union-attr]
    kept = [parameter for name, parameter in signature.parameters.items() if name not in owners]
    module = StaticModule(name, kind, inspect.Signature(kept))
    closing = Closing(module, owners, [executable.program for executable in executables])
    if is_method:
        closing.take_root(Argument(str(root[0])), root[1])
    module.d2s_set_captures(merged(closing.capture(for_any_grad_mode(one, owners)) for one in executables))
    return module


def _owners(executables: Sequence[Executable]) -> dict[str, Any]:
    """The arguments that hold state, which are to be the same for all the programs."""
    found: dict[str, Any] = {}
    for executable in executables:
        alive = executable.owners
        for guard in executable.guards:
            if not isinstance(guard.source, Argument) or not _is_of_owner(guard):
                continue
            name = guard.source.name
            if name not in alive:
                raise D2SError(
                    f"the {name!r} that {executable.program.name} was captured for is no data, and is there no more: "
                    "keep it until the program is made a module"
                )
            if found.setdefault(name, alive[name]) is not alive[name]:
                raise D2SError(f"the programs of {executable.program.name} are for different objects as {name!r}")
    return found


def _is_of_owner(guard: Guard) -> bool:
    check = guard.check
    return isinstance(check, HasForm) and not issubclass(check.cls, (*_CONTAINERS, *LEAVES, torch.Tensor))


class Closing:
    """Where the state of some programs is in the module that they become."""

    def __init__(self, module: StaticModule, owners: Mapping[str, Any], programs: Sequence[Program]):
        self.module = module
        self.owners = owners
        self.written = {write.source for program in programs for write in program.writes()}
        self._parts: dict[int, Part] = {}
        self._new: dict[Source, Source] = {}
        self._by_object: dict[int, Source] = {}
        self._keep: list[Any] = []

    def take_root(self, source: Source, owner: torch.nn.Module) -> None:
        """The module that the programs are a method of."""
        self._new[source] = Argument(ROOT)
        self._by_object[id(owner)] = Argument(ROOT)
        self._parts[id(owner)] = self.module
        self._fill(self.module, owner)

    def take(self, thing: Any, name: str) -> Source:
        """Hold a thing under this name, if it is not held yet; the path to it."""
        if id(thing) not in self._by_object:
            self._keep.append(thing)
            source = Argument(name)
            self._by_object[id(thing)] = self._hold(self.module, Argument(ROOT), self._free_name(name), thing, source)
        return self._by_object[id(thing)]

    def take_owner(self, name: str, path: Source) -> None:
        """Have what is in the argument of this name be found at a path of the module."""
        self._new[Argument(name)] = path

    def found(self, source: Source) -> Any:
        """What is at a path of the module."""
        return read(source, {ROOT: self.module})

    def capture(self, captured: Capture) -> Capture:
        """A program and its guards with the new paths."""
        program = with_sources(captured.program, self.source)
        program.names = captured.program.names or names_of_values(captured.program)
        state = {entry.source for entry in captured.program.inputs}
        kept = [self._guard(guard) for guard in captured.guards if self._is_kept(guard, state)]
        return replace(captured, program=program, guards=[guard for guard in kept if guard is not None])

    # -------------------------------------------------------------- guards

    def _is_kept(self, guard: Guard, state: set[Source]) -> bool:
        """Whether a guard is on what can be another once the module is on its own."""
        source = guard.source
        if self._is_data(source):
            return True
        if isinstance(source, Member) and source.name == "training" and not source.table:
            return True
        return (source in state and isinstance(guard.check, IsTensor | HasForm | IsSame)) or any(
            prefix in self.written for prefix in prefixes(source)
        )

    def _guard(self, guard: Guard) -> Guard | None:
        if isinstance(guard.source, Constant):
            return None
        check = guard.check
        if isinstance(check, IsSame):
            return Guard(self.source(guard.source), IsSame(self.source(check.other)))
        if isinstance(check, Differs):
            return Guard(self.source(guard.source), Differs(tuple(map(self.source, check.others))))
        return Guard(self.source(guard.source), check)

    def _is_data(self, source: Source) -> bool:
        start = prefixes(source)[0]
        return isinstance(start, Argument) and start.name not in self.owners

    # -------------------------------------------------------------- paths

    def source(self, source: Source) -> Source:
        """The path in the module of what is at a path of the program."""
        if self._is_data(source):
            return source
        if source not in self._new:
            self._new[source] = self._found(source)
        return self._new[source]

    def _found(self, source: Source) -> Source:
        try:
            thing = read(source, self.owners)
        except LOST:
            return self._missing(source)
        base = getattr(source, "base", None)
        if source not in self.written and not isinstance(thing, LEAVES) and id(thing) in self._by_object:
            return self._by_object[id(thing)]
        if base is None:
            found = self._hold(self.module, Argument(ROOT), self._free_name(str(source)), thing, source)
        else:
            found = self._inside(source, self.source(base), thing)
        self._by_object[id(thing)] = found
        self._keep.append(thing)
        return found

    def _missing(self, source: Source) -> Source:
        match source:
            case Attribute(base, name):
                return Attribute(self.source(base), name)
            case Member(base, table, name):
                return Member(self.source(base), table, name)
            case Item(base, key):
                return Item(self.source(base), key)
        raise D2SError(f"{source} is there no more: the program can't be made a module without it")

    def _inside(self, source: Source, base: Source, thing: Any) -> Source:
        holder = self.found(base)
        if not isinstance(holder, Part):
            if isinstance(source, Item):
                return Item(base, source.key)
            raise D2SError(f"{source} is in an object that can't be part of a module")
        name = str(source.key) if isinstance(source, Item) else source.name  # type: ignore[union-attr]
        if isinstance(source, Member) and source.table:
            return Member(base, source.table, name)
        return self._hold(holder, base, name, thing, source)

    # -------------------------------------------------------------- state

    def _hold(self, holder: Part, base: Source, name: str, thing: Any, source: Source) -> Source:
        """Have the holder hold a thing under this name; the path to it."""
        if name == "__dict__":
            raise D2SError(f"{source} is used as a dict: the program can't be made a module")
        if not _is_plain(thing):
            name = name.replace(".", "_")
            if name not in holder._modules:
                holder.d2s_put("_modules", name, self._part(thing, source))
            return Member(base, "_modules", name)
        is_constant = not isinstance(source, Attribute | Member) and source not in self.written
        if is_constant and isinstance(thing, torch.Tensor) and not isinstance(thing, torch.nn.Parameter):
            # Nobody but the module can move it to another device.
            holder.register_buffer(name, thing, persistent=False)
            self.module.d2s_constants.add(name)
            return Member(base, "_buffers", name)
        setattr(holder, name, copied(thing))
        return attribute_source(base, holder, name)

    def _part(self, thing: Any, source: Source) -> Part:
        """The part that holds what an object holds."""
        if callable(thing) and not isinstance(thing, torch.nn.Module):
            raise D2SError(f"{source} is a function or a class: the program can't be made a module with it")
        if id(thing) not in self._parts:
            name = thing._get_name() if isinstance(thing, torch.nn.Module) else type(thing).__name__
            self._parts[id(thing)] = part = Part(name)
            self._keep.append(thing)
            if isinstance(thing, torch.nn.Module):
                self._fill(part, thing)
        return self._parts[id(thing)]

    def _fill(self, part: Part, module: torch.nn.Module) -> None:
        """Have a part hold the parameters, the buffers and the modules of a module."""
        part.training = module.training
        for table in ("_parameters", "_buffers"):
            for name, tensor in vars(module)[table].items():
                part.d2s_put(table, name, tensor)
        part._non_persistent_buffers_set |= module._non_persistent_buffers_set
        for name, inner in module._modules.items():
            part.d2s_put("_modules", name, None if inner is None else self._part(inner, Argument(name)))

    def _free_name(self, wanted: str) -> str:
        """A name that the module has no attribute of."""
        name, number = wanted.replace(".", "_"), 1
        while hasattr(self.module, name) or name in self.module.d2s_signature.parameters:
            number += 1
            name = f"{wanted.replace('.', '_')}_{number}"
        return name


def _is_plain(thing: Any) -> bool:
    """Whether a thing is data: a tensor, a number, a text, or a container of such."""
    if isinstance(thing, dict):
        return type(thing).__module__ in ("builtins", "collections") and all(map(_is_plain, thing.values()))
    if isinstance(thing, _CONTAINERS):
        return all(map(_is_plain, thing))
    return isinstance(thing, (*LEAVES, torch.Tensor))

"""What a program assumes of the objects that it is given, found when it is captured.

A guard is a path to an object and what must hold of it. Numbers, texts and what else the recording may have read as a
constant must be what they were; tensors must be of the type that they were; containers must have the same form.
"""

from __future__ import annotations

import operator
import types
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.names import place_of
from d2s.runtime.ir.program import Call, Input, Program, Raise, Return, TensorType, WriteKind, walk_blocks, walk_ops
from d2s.runtime.ir.sources import (
    LOST,
    Argument,
    Attribute,
    ClassEntry,
    Constant,
    Derived,
    Global,
    Item,
    Member,
    Source,
    attributes_of,
    is_users_class,
    is_users_name,
    prefixes,
    read,
)
from d2s.runtime.passes.memory import Memory
from d2s.runtime.recording.attributes import looked_up, looked_up_in_class, unextended, unpatched
from d2s.runtime.recording.checks import (
    Check,
    Differs,
    Guard,
    HasForm,
    IsEmpty,
    IsMissing,
    IsObject,
    IsSame,
    IsTensor,
    IsValue,
    Lacks,
    Whole,
)
from d2s.runtime.recording.kinds import can_be_asked, is_value, kind_of
from d2s.runtime.recording.lifting import TABLES, is_looked_into, is_watched
from d2s.runtime.recording.places import MISSING
from d2s.runtime.recording.structures import is_block
from d2s.runtime.recording.tellings import told
from d2s.runtime.recording.variables import itself, named_of
from d2s.runtime.torch_internals.calls import GLOBAL_HOOK_TABLES
from d2s.runtime.torch_internals.effects import is_view_of_leaf, memory_of

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

# Where a module keeps its hooks: most have none.
_HOOKS = frozenset(name for name in vars(torch.nn.Module()) if name.endswith("_hooks"))


def program_guards(recorder: Recorder, program: Program, arguments: Mapping[str, Any]) -> list[Guard]:
    """The guards of a program that was captured for these arguments, which are as they were before."""
    return _Finder(recorder, program, arguments).guards(arguments)


def _written_classes(program: Program, arguments: Mapping[str, Any]) -> set[type]:
    """The classes of the user's objects that the program writes."""
    ends = (block.terminator for block in walk_blocks(program.body))
    writes = [write for end in ends if isinstance(end, Return | Raise) for write in end.writes]
    owners = (
        write.source if write.kind is WriteKind.CONTENTS else getattr(write.source, "base", None) for write in writes
    )
    return {type(_read(owner, arguments)) for owner in owners if owner is not None}


class _Finder:
    def __init__(self, recorder: Recorder, program: Program, arguments: Mapping[str, Any]):
        found_again = (entry for entry in program.inputs if not isinstance(entry.source, Constant))
        self.program = program
        self.inputs: dict[Source, Input] = {entry.source: entry for entry in found_again}
        self.asked_for_grad = recorder.asked_for_grad
        self.reads, self.reachable = recorder.reads, recorder.reachable
        self.roots = dict.fromkeys(recorder.reachable.roots())
        self.names = frozenset(recorder.reachable.names)
        self.told_apart = recorder.told_apart | _written_classes(program, arguments)

    def guards(self, arguments: Mapping[str, Any]) -> list[Guard]:
        """The guards of all that is reached from the roots and that was looked at."""
        found: dict[Source, Guard] = {}
        first: dict[int, tuple[Source, Any]] = {}
        seen: dict[int, Any] = {}  # whose insides are on their way
        starts = dict.fromkeys([*self.roots, *(prefix for source in self.inputs for prefix in prefixes(source))])
        queue = deque((source, _read(source, arguments)) for source in starts)
        while queue or self._is_left(queue, seen):
            source, thing = queue.popleft()
            if source in found:
                continue
            if id(thing) in first:
                found[source] = Guard(source, IsSame(first[id(thing)][0]))
                continue
            check = self._check(source, thing)
            found[source] = Guard(source, check)
            if not isinstance(check, Whole) and not is_value(thing):
                first[id(thing)] = source, thing
            if check is not thing and not isinstance(check, IsEmpty) and id(thing) not in seen:
                seen[id(thing)] = thing
                queue.extend(self._inside(source, thing))
        self._check_apart([thing for thing in seen.values() if is_block(thing)], arguments)
        names = self.names.union(*map(self.reads.of, seen.values()))
        more = (Guard(source, check) for source, check in unextended(seen.values(), names))
        return [*found.values(), *more, *self._distinct(list(first.values())), *self._functions(found)]

    def _check_apart(self, blocks: list[Any], arguments: Mapping[str, Any]) -> None:
        """Go on only if the program writes no memory of arrays whose numbers the recording took as they were.

        Raises:
            CaptureError: it does.
        """
        if not blocks:
            return
        memory = Memory(self.program)
        for source in (source for source, entry in self.inputs.items() if memory.is_changed(entry.value)):
            thing = _read(source, arguments)
            written = memory_of(thing) if isinstance(thing, torch.Tensor) or is_block(thing) else range(0)
            for block in blocks:
                taken = memory_of(block)
                if taken.start < written.stop and written.start < taken.stop:
                    reason = f"the memory of a {type(block).__name__} is written as that of {source}, and read"
                    raise CaptureError("D2S307", reason, "read the tensor, not the array")

    def _is_left(self, queue: deque[tuple[Source, Any]], seen: Collection[int]) -> bool:
        """Whether attributes were looked up in things that no other look-up leads to, such as descriptors."""
        for thing in self.reads.things():
            source = self.reachable.find(thing)
            if source is not None and source not in self.roots and id(thing) not in seen:
                self.roots[source] = None
                queue.append((source, thing))
        return bool(queue)

    def _functions(self, found: Collection[Source]) -> Iterator[Guard]:
        """That torch's functions that the program calls are those that have their names: also such as torch calls."""
        targets = dict.fromkeys(op.target for op in walk_ops(self.program.body) if isinstance(op, Call))
        places = [place for target in targets if (place := place_of(target)) is not None]
        of_tensors = [name for owner, name in places if owner is torch.Tensor]
        operators = (f"__{name}__" for name in of_tensors)
        places += [(torch.Tensor, name) for name in operators if name in vars(torch.Tensor)]
        for owner, name in dict.fromkeys(places):
            source = ClassEntry(owner, name) if isinstance(owner, type) else Global(vars(owner), name)
            if owner is not operator and source not in found:
                yield Guard(source, IsObject(_read(source, {})))
        if of_tensors:
            yield Guard(*unpatched(frozenset(of_tensors)))

    def _distinct(self, found: list[tuple[Source, Any]]) -> Iterator[Guard]:
        """That objects which could be told from each other, or of which one is written, are as many as they were."""
        groups: dict[Any, list[Source]] = {}
        for source, thing in found:
            if isinstance(thing, torch.Tensor):
                if not isinstance(thing, torch.nn.Parameter):
                    groups.setdefault(torch.Tensor, []).append(source)
            elif type(thing) in self.told_apart or _may_be_hashed(thing):
                groups.setdefault(type(thing), []).append(source)
            elif isinstance(source, Argument):
                groups.setdefault((Argument, type(thing)), []).append(source)
        if all(source in self.inputs for source in groups.get(torch.Tensor, ())):
            groups.pop(torch.Tensor, None)  # those are compared anyway, when they are fetched
        for first, *others in groups.values():
            if others:
                yield Guard(first, Differs(tuple(others)))

    def _check(self, source: Source, thing: Any) -> Check:
        """What must hold of an object itself."""
        if thing is MISSING:
            return IsMissing()
        if isinstance(thing, Lacks | IsValue):
            return thing
        if isinstance(thing, torch.Tensor):
            return self._tensor(source, thing)
        if isinstance(thing, int | float) and source in self.inputs:
            return HasForm(type(thing))  # a number that the program takes as it comes
        if _is_table_of_hooks(source) and not thing:
            return IsEmpty()
        kind = kind_of(thing)
        if kind is not None:
            return kind.check(thing)
        if is_watched(type(thing)):
            return HasForm(type(thing))
        if has_no_rule(thing, self.names):
            reason = f"a {type(thing).__name__} is read, of which d2s can't tell whether it has changed"
            raise CaptureError("D2S310", reason, f"read {source} before the call, and hand in what it gives")
        return IsObject(thing)

    def _tensor(self, source: Source, tensor: torch.Tensor) -> Check:
        entry = self.inputs.get(source)
        if entry is None:
            return HasForm(type(tensor))
        assert isinstance(entry.value.type, TensorType)
        kind = TensorType(tensor.dtype, entry.value.type.shape, tensor.device, tensor.requires_grad)
        is_open = None in kind.shape or tensor.layout is not torch.strided
        has_grad = tensor.grad is not None if id(tensor) in self.asked_for_grad else None
        strides = None if is_open else tensor.stride()
        return IsTensor(type(tensor), kind, strides, tensor.is_leaf, has_grad, is_view_of_leaf(tensor))

    def _inside(self, source: Source, thing: Any) -> Iterator[tuple[Source, Any]]:
        """What is in an object that its check says nothing of."""
        yield from self._parts(source, thing)
        yield from looked_up(source, thing, self._names(thing))
        yield from told(source, thing, self.names)

    def _names(self, thing: Any) -> set[str]:
        """The names looked up in an object; of what users put on a tensor those that are in the code."""
        found = self.reads.of(thing)
        if not isinstance(thing, torch.Tensor):
            return found
        of_class = {name for base in type(thing).__mro__ if is_users_class(base) for name in vars(base)}
        return found | (self.names & (attributes_of(thing).keys() | of_class))

    def _parts(self, source: Source, thing: Any) -> Iterator[tuple[Source, Any]]:
        if isinstance(source, Member) and not source.table and source.name in TABLES:
            yield from ((Member(source.base, source.name, name), item) for name, item in thing.items())
            return
        if isinstance(thing, type):
            yield from looked_up_in_class(source, thing, self.names)
            return
        if isinstance(thing, types.ModuleType):
            # What the code names of a global one is among the roots.
            is_global = source in self.roots and isinstance(source, Global | Attribute | Item)
            if not is_global or Derived(source, itself) in self.roots:  # it is handed on
                yield from named_of(source, thing, self.names)
                if not is_users_name(thing.__name__):
                    own = vars(thing)
                    yield Attribute(source, "__dict__"), Lacks(self.names - own.keys(), len(own))
            return
        if not is_watched(type(thing)) and is_users_class(type(thing)):
            yield Attribute(source, "__class__"), type(thing)  # nothing notes what is looked up in it
        kind = kind_of(thing)
        if kind is not None:
            yield from kind.parts(source, thing)


def has_no_rule(thing: Any, names: Collection[str]) -> bool:
    """Whether code with these names can ask an object for something that nothing tells the changes of."""
    if kind_of(thing) is not None or isinstance(thing, torch.Tensor) or is_watched(type(thing)):
        return False
    return is_looked_into(type(thing)) and can_be_asked(thing, names)


def _may_be_hashed(thing: Any) -> bool:
    """Whether a set or a dict may hold objects like this one by their identity. Modules are rarely held so."""
    return is_watched(type(thing)) and not isinstance(thing, torch.nn.Module)


def _read(source: Source, arguments: Mapping[str, Any]) -> Any:
    try:
        return read(source, arguments)
    except LOST:
        return MISSING


def _is_table_of_hooks(source: Source) -> bool:
    if isinstance(source, Global):
        return source.name in GLOBAL_HOOK_TABLES
    return isinstance(source, Member) and not source.table and source.name in _HOOKS

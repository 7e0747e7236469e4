"""What a call leaves behind, as trees of the program: its answer, and what it wrote to the user's objects.

An object that the call was given is handed back as itself; one that it made is made anew by each run.
"""

from __future__ import annotations

import collections
import copy
import enum
import sys
import types
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import ORDERED, PythonType, Raise, Return, Terminator, Tree, Write, WriteKind, values_in
from d2s.runtime.ir.sources import ContextValue, Source, is_users_class
from d2s.runtime.recording.closures import check_class, check_handed_on, function_tree
from d2s.runtime.recording.exceptions import record_exception
from d2s.runtime.recording.gradients import GradientLocation
from d2s.runtime.recording.kinds import is_value
from d2s.runtime.recording.locations import is_own, package_of, user_location
from d2s.runtime.recording.places import (
    CONTAINERS,
    MISSING,
    AttributeLocation,
    ContentsLocation,
    ContextLocation,
    Location,
)
from d2s.runtime.recording.specs import is_equal, spec_at
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import all_slots_of, is_block, maker_of
from d2s.runtime.recording.tags import put_tags

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

_CONSTANTS = (types.BuiltinFunctionType, types.ModuleType, type, torch.dtype, torch.device, enum.Enum, range)


def end(recorder: Recorder, answer: Any, error: BaseException | None = None) -> Terminator:
    """The end of a path: what it answers or raises, and what it has written."""
    recorder.check_unwatched()
    outputs = Outputs(recorder)
    changes = outputs.changes()
    outputs.count([answer, *(after for _, _, after in changes)])
    writes = [outputs.write(*change) for change in changes]
    if error is not None:
        return Raise(record_exception(recorder, error, outputs.tree), writes)
    value = outputs.tree(answer)
    check_handed_on(recorder)
    return Return(value, writes)


class Outputs:
    """The trees of one end of a program. A container that occurs twice is made once."""

    def __init__(self, recorder: Recorder):
        self.recorder = recorder
        self._seen: set[int] = set()
        self._shared: set[int] = set()
        self._made: dict[int, Tree] = {}
        self._functions: list[types.FunctionType] = []

    def count(self, things: Any) -> None:
        """Note which containers occur more than once."""
        for thing in things.values() if isinstance(things, dict) else things:
            if isinstance(thing, list | dict | tuple) and not is_staged(thing):
                if id(thing) in self._seen:
                    self._shared.add(id(thing))
                else:
                    self._seen.add(id(thing))
                    self.count(thing)

    def tree(self, thing: Any) -> Tree:
        """A thing in the program."""
        if isinstance(thing, torch.Tensor):
            return self._tensor(thing)
        if is_staged(thing):
            return self.recorder.operand(thing)
        if type(thing) in (int, float, bool, complex, str, bytes, type(None)):
            return thing
        if isinstance(thing, types.FunctionType):
            return self._function(thing)
        if isinstance(thing, types.MethodType):
            owner = self.tree(thing.__self__)
            return self._call(types.MethodType, thing.__func__, owner) if values_in(owner) else thing
        if isinstance(thing, type) and is_users_class(thing):
            check_class(self.recorder, thing, self.tree)
        if isinstance(thing, _CONSTANTS):
            return thing
        found = self.recorder.object_value(thing)
        if found is not None:
            return found
        if id(thing) not in self._made:
            self._made[id(thing)] = self._make(thing)
        return self._made[id(thing)]

    def _tensor(self, tensor: torch.Tensor) -> Tree:
        operand = self.recorder.operand(tensor)
        tags = self.recorder.tags.of(tensor)
        if tags and id(tensor) not in self._made:
            self._made[id(tensor)] = operand
            given = {name: self.tree(tag) for name, tag in tags.items()}
            self.recorder.emit_call(put_tags, (operand, given), {}, None, ORDERED)
        return operand

    def _function(self, function: types.FunctionType) -> Tree:
        if function in self._functions:
            name = function.__name__
            raise CaptureError(
                "D2S304", f"the function {name} is handed on, and holds itself", "hand on a callable object"
            )
        if id(function) not in self._made:
            self._functions.append(function)
            self._made[id(function)] = function_tree(self.recorder, function, self.tree)
            self._functions.pop()
        return self._made[id(function)]

    def _make(self, thing: Any) -> Tree:
        """A new thing, made by an op unless it can be written down."""
        kind = type(thing)
        if is_block(thing):
            return self._call(copy.copy, thing)
        if package_of(kind) == "numpy":
            return thing  # a scalar or a dtype
        if isinstance(thing, tuple):
            items = [self.tree(item) for item in thing]
            if kind is tuple:
                return tuple(items)
            return self._call(maker_of(kind), items) if values_in(items) else thing
        if kind in (list, dict):
            contents = self._contents(thing)
            return self._call(same, contents) if id(thing) in self._shared else contents
        if kind in (set, frozenset, collections.deque, collections.OrderedDict, collections.Counter):
            return self._call(kind, self._contents(thing))
        if kind is collections.defaultdict:
            return self._call(kind, thing.default_factory, self._contents(thing))
        if kind is slice:
            return slice(self.tree(thing.start), self.tree(thing.stop), self.tree(thing.step))
        if is_own(getattr(sys.modules.get(kind.__module__), "__file__", None) or ""):
            target, args = thing.output()  # one of ours that stands for a generator
            return self._call(target, *map(self.tree, args))
        if kind.__module__ == "itertools" or (isinstance(thing, Iterator) and kind.__module__ == "builtins"):
            return self._iterator(thing)
        if isinstance(thing, BaseException):
            return record_exception(self.recorder, thing, self.tree)
        attributes = own_attributes(thing)
        if is_value(thing):
            return thing
        if attributes is None or kind.__module__ == "builtins" or not _can_be_remade(kind):
            reason = f"a {kind.__name__} is handed on, which can't be made anew at each run"
            raise CaptureError("D2S307", reason, "hand on what it is made of", user_location())
        if is_users_class(kind):
            check_class(self.recorder, kind, self.tree)
        held = self._contents(thing) if isinstance(thing, CONTAINERS) else None
        return self._call(remake_object, kind, {name: self.tree(item) for name, item in attributes.items()}, held)

    def _iterator(self, thing: Any) -> Tree:
        """One of Python's own iterators, where it stands."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                make, args, *state = thing.__reduce__()
        except TypeError:
            reason = f"a {type(thing).__name__} is handed on, which can't be made anew at each run"
            remedy = "hand on a list, or a function that makes it"
            raise CaptureError("D2S307", reason, remedy, user_location()) from None
        made = self._call(make, *map(self.tree, args))
        if state and state[0] is not None:
            self.recorder.emit_call(type(thing).__setstate__, (made, self.tree(state[0])), {}, None, ORDERED)
        return made

    def _contents(self, container: Any) -> Tree:
        if isinstance(container, dict):
            return {key: self.tree(item) for key, item in container.items()}
        return [self.tree(item) for item in container]

    def _call(self, target: Any, *args: Any) -> Tree:
        value = self.recorder.fresh(PythonType(target if isinstance(target, type) else object))
        self.recorder.emit_call(target, args, {}, value)
        return value

    # -------------------------------------------------------------- writes

    def changes(self) -> list[tuple[Location, Source, Any]]:
        """The places that outlive the call and hold something else now, with what they hold."""
        found = []
        for location, before in self.recorder.journal.since(0).items():
            if isinstance(location, GradientLocation):
                continue  # which the run itself has set
            after = location.read()
            if isinstance(location, ContextLocation):
                _check_reset(location, before, after)
                if location.owner in self.recorder.left_contexts:
                    self.recorder.reachable.add_root(ContextValue(location.owner), before)
                continue
            source = self.recorder.reachable.source_of(location)
            was, now = spec_at(location, before), spec_at(location, after)
            is_same = is_equal(self.recorder, was, now) or self.recorder.is_as_it_came(location, after)
            if source is not None and not is_same:
                if not isinstance(location, ContentsLocation):
                    self.recorder.note_counter(location, before, after, source)
                found.append((location, source, after))
            elif isinstance(location, AttributeLocation):
                # Nothing to write, as long as it holds what it does now.
                self.recorder.reads.note(location.owner, location.name)
        return found

    def write(self, location: Location, source: Source, after: Any) -> Write:
        """The write that leaves a place as it is now."""
        if isinstance(location, ContentsLocation):
            return Write(WriteKind.CONTENTS, source, self._contents(after))
        if after is MISSING:
            return Write(WriteKind.UNBIND, source, None)
        return Write(WriteKind.BIND, source, self.tree(after))


def _check_reset(location: ContextLocation, before: Any, after: Any) -> None:
    """Go on only if a context variable holds what it held before the call.

    Raises:
        CaptureError: it does not.
    """
    if before is not after:
        reason = f"the context variable {location.owner.name} is left with another value"
        raise CaptureError("D2S308", reason, "reset it before the function returns, or set it outside")


def same(thing: Any) -> Any:
    """A display that occurs in more than one place."""
    return thing


def own_attributes(thing: Any) -> dict[str, Any] | None:
    """What an object has in its own dict and in its slots; None if it can have nothing."""
    slots = [name for name in all_slots_of(type(thing)) if hasattr(thing, name)]
    own = getattr(thing, "__dict__", None)
    return None if own is None and not slots else {**{name: getattr(thing, name) for name in slots}, **(own or {})}


def _base(kind: type) -> Any:
    """The class of Python's own that makes objects of a class."""
    return next((base for base in (collections.OrderedDict, *CONTAINERS) if issubclass(kind, base)), object)


def _can_be_remade(kind: type) -> bool:
    """Whether `remake_object` makes objects of this class: not of those that a class in C makes."""
    try:
        _base(kind).__new__(kind)
    except TypeError:
        return False
    return True


def remake_object(kind: type, attributes: dict[str, Any], contents: Any) -> Any:
    """An object as it was, without running its `__init__` again; `contents` are those of a container."""
    base = _base(kind)
    made: Any = base.__new__(kind)
    if issubclass(base, dict):
        for key, item in contents.items():
            base.__setitem__(made, key, item)
    elif base is not object:
        (base.update if base is set else base.extend)(made, contents)
    slots = all_slots_of(kind)
    for name, item in attributes.items():
        if name in slots:
            object.__setattr__(made, name, item)
        else:
            vars(made)[name] = item
    return made

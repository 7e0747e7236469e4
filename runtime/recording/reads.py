"""What a recording reads of the user's objects: only that needs guards, and an object may hold much more."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from d2s.runtime.recording.lifting import Reachable, is_watched
from d2s.runtime.recording.locations import asking_code, is_left_alone, is_own, is_users_function
from d2s.runtime.recording.places import CONTAINERS, AttributeLocation, CellLocation, GlobalLocation, Location
from d2s.runtime.recording.surroundings import note_loaded
from d2s.runtime.torch_internals.calls import replaced

# Methods of modules that read the dict of the module to find, or to write, the one attribute that they are asked for.
_ACCESSORS = frozenset(
    getattr(torch.nn.Module, name).__code__
    for name in (
        *("__getattr__", "__setattr__", "__delattr__", "__setstate__"),
        *("register_buffer", "register_parameter", "add_module", "register_module"),
    )
)


class Reads:
    """The names of the attributes that were looked up in each object."""

    def __init__(self, reachable: Reachable) -> None:
        # By id: the object, and the names.
        self._names: dict[int, tuple[Any, set[str]]] = {}
        self._containers: dict[int, Any] = {}
        self.is_asking = False  # whether code of ours asks an object, so that nothing of that is recorded
        self._reachable = reachable
        self._journal = reachable.journal

    def of(self, thing: Any) -> set[str]:
        """The names looked up in an object; `__dict__` is among them if all of it was asked for."""
        return self._names[id(thing)][1] if id(thing) in self._names else set()

    def things(self) -> list[Any]:
        """The objects in which attributes were looked up."""
        return [thing for thing, _ in self._names.values()]

    def note_item(self, container: Any, key: Any) -> None:
        """Remember that it matters what a container has for a key, or at a position."""
        if container is sys.modules:
            note_loaded(self._reachable, key)
        else:
            self.note_contents(container)

    def note_contents(self, container: Any) -> None:
        """Remember that it matters what is in a container."""
        if isinstance(container, CONTAINERS):
            self._containers.setdefault(id(container), container)

    def containers(self) -> list[Any]:
        """Those in which items were looked up."""
        return list(self._containers.values())

    def copy(self) -> dict[int, tuple[Any, set[str]]]:
        """What was looked up so far, for `restore`."""
        return {key: (thing, set(names)) for key, (thing, names) in self._names.items()}

    def restore(self, names: dict[int, tuple[Any, set[str]]]) -> None:
        """Forget what was looked up since."""
        self._names = names

    def note(self, thing: Any, name: str) -> None:
        """Remember that it matters what a look-up of an attribute gave before the call."""
        self._names.setdefault(id(thing), (thing, set()))[1].add(name)
        if name == "__class__":
            self._reachable.add_class_of(thing)

    def note_location(self, location: Location) -> None:
        """The same for any place that is no container, if the call has not written it yet."""
        if isinstance(location, AttributeLocation):
            if not self._journal.has(location):
                self.note(location.owner, location.name)
        elif isinstance(location, GlobalLocation | CellLocation):
            source = self._reachable.source_of(location)
            if source is not None:
                self._reachable.add_root(source, self._journal.first(location))

    @contextmanager
    def noting(self, is_at_work: Callable[[], bool], form_of: Callable[[Any], Any]) -> Iterator[None]:
        """Note every attribute that code which is not ours looks up meanwhile, in objects of the classes in reach.

        What the user's code looks up by a `__getattribute__` of the user's runs the form of it that is recorded.
        """
        with ExitStack() as stack:

            def watch(cls: type) -> None:
                usual = cls.__getattribute__
                if getattr(usual, "d2s_notes", False) or not is_watched(cls):
                    return
                stack.enter_context(replaced(cls, "__getattribute__", self._noting(usual, is_at_work, form_of)))

            stack.enter_context(replaced(torch.Tensor, "__getattr__", self._noting_absent(is_at_work)))
            watch(torch.nn.Module)
            stack.enter_context(self._reachable.telling_of_classes(watch))
            yield

    def _noting(self, usual: Any, is_at_work: Callable[[], bool], form_of: Callable[[Any], Any]) -> Any:
        """A `__getattribute__` that notes what it is asked for; one of the user's may look at anything."""
        is_users = is_users_function(usual)

        def noting(thing: Any, name: str) -> Any:
            code = asking_code()
            if self.is_asking or code in _ACCESSORS or not is_at_work():
                return usual(thing, name)
            if is_own(code.co_filename):
                return self._asked(usual, thing, name) if is_users else usual(thing, name)
            self.note_location(AttributeLocation(thing, name))
            self._reachable.check_read(thing, name)
            if not is_users:
                return usual(thing, name)
            self.note(thing, "__dict__")
            self._reachable.add_special_method(type(thing), "__getattribute__", usual)
            return form_of(usual)(thing, name)

        noting.d2s_notes = True  # type: ignore[attr-defined]
        return noting

    def _asked(self, usual: Any, thing: Any, name: str) -> Any:
        """What code of ours asks a `__getattribute__` of the user's for: nothing of that is recorded."""
        self.is_asking = True
        try:
            return usual(thing, name)
        finally:
            self.is_asking = False

    def _noting_absent(self, is_at_work: Callable[[], bool]) -> Any:
        """A `__getattr__` of tensors, which have none: it notes what users look for and have not put there."""

        def absent(tensor: Any, name: str) -> Any:
            if not name.startswith("__") and is_at_work() and not is_left_alone(asking_code()):
                self.note_location(AttributeLocation(tensor, name))
            raise AttributeError(f"{type(tensor).__name__!r} object has no attribute {name!r}")

        return absent

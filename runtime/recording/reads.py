"""What a recording reads of the user's modules: only that needs guards, and a module holds much more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from d2s.runtime.recording.journal import AttributeLocation, Journal, Location
from d2s.runtime.recording.lifting import refuse_iterator
from d2s.runtime.recording.locations import asking_code, is_own
from d2s.runtime.torch_internals.calls import replaced

# Methods of modules that read the dict of the module to find, or to write, the one attribute that they are asked for.
_ACCESSORS = frozenset(
    getattr(torch.nn.Module, name).__code__ for name in ("__getattr__", "__setattr__", "__delattr__", "__setstate__")
)


class Reads:
    """The names of the attributes that were read of each module, by the module's id."""

    def __init__(self, journal: Journal) -> None:
        self._names: dict[int, set[str]] = {}
        self._journal = journal

    def of(self, module: torch.nn.Module) -> set[str]:
        """The names read of a module; `__dict__` is among them if that was asked for as a whole."""
        return self._names.get(id(module), set())

    def note(self, module: torch.nn.Module, name: str) -> None:
        """Remember that it matters what an attribute held before the call."""
        self._names.setdefault(id(module), set()).add(name)

    def note_location(self, location: Location) -> None:
        """The same for any place, if the call has not written it yet."""
        owner = location.owner
        of_module = isinstance(location, AttributeLocation) and isinstance(owner, torch.nn.Module)
        if of_module and not self._journal.has(location):
            self.note(owner, location.name)  # type: ignore[attr-defined]

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note every attribute of a module that is read meanwhile by code that is not ours."""

        def noting(module: Any, name: str) -> Any:
            code = asking_code()
            if code not in _ACCESSORS and not is_own(code.co_filename):
                self.note_location(AttributeLocation(module, name))
                refuse_iterator(object.__getattribute__(module, "__dict__").get(name))
            return object.__getattribute__(module, name)

        with replaced(torch.nn.Module, "__getattribute__", noting):
            yield

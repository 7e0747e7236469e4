"""The `__getattr__` of Python modules of the user's, in converted form: no call of it is written in the code."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from d2s.runtime.ir.sources import Constant, Derived, Source
from d2s.runtime.recording.locations import is_users_function
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.torch_internals.calls import replaced

_NAME = "__getattr__"


@contextmanager
def converting_lookups(recorder: Recorder, converted: Callable[[Recorder, Any], Any]) -> Iterator[None]:
    """While a recording goes on, the modules that it can reach look up what they lack by a converted function."""
    with ExitStack() as stack, recorder.reachable.followed_by(_Converting(recorder, converted, stack)):
        yield


def looking_up(module: types.ModuleType) -> Any:
    """The function that a module looks up by what it lacks."""
    return vars(module).get(_NAME)


class _Converting:
    """Puts converted functions into the modules that are found."""

    def __init__(self, recorder: Recorder, converted: Callable[[Recorder, Any], Any], stack: ExitStack):
        self._recorder = recorder
        self._converted = converted
        self._stack = stack

    def found_root(self, source: Source) -> None:
        """Nothing: what is there is told of as an object."""

    def found(self, thing: Any) -> None:
        """An object: of interest if it is a module."""
        if isinstance(thing, types.ModuleType) and is_users_function(vars(thing).get(_NAME)):
            self._stack.enter_context(replaced(thing, _NAME, self._form(thing)))

    def _form(self, module: types.ModuleType) -> Callable[[str], Any]:
        function = vars(module)[_NAME]

        def recorded(name: str) -> Any:
            if active_recorder() is not self._recorder:
                return function(name)
            self._recorder.reachable.add_root(Derived(Constant(module, module.__name__), looking_up), function)
            return self._converted(self._recorder, function)(name)

        return recorded

"""Modules that the code finds by their names: whether they are loaded, and what they hold, is guarded."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.recording.locations import for_the_user
from d2s.runtime.recording.recorder import active_recorder


@for_the_user
def _import_module(*args: Any, **kwargs: Any) -> Any:
    """`importlib.import_module(...)`."""
    module = importlib.import_module(*args, **kwargs)
    _note(module.__name__)
    return module


@for_the_user
def _import(*args: Any, **kwargs: Any) -> Any:
    """`__import__(...)`, which gives the outermost package of a name."""
    module = __import__(*args, **kwargs)
    _note(module.__name__)
    return module


def _of_table(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of `sys.modules` that is asked for a name."""

    @for_the_user
    def asked(name: Any, *args: Any) -> Any:
        _note(name)
        return method(name, *args)

    return asked


def _note(name: Any) -> None:
    recorder = active_recorder()
    if recorder is not None:
        recorder.reads.note_item(sys.modules, name)


REPLACEMENTS.update({importlib.import_module: _import_module, __import__: _import})
REPLACEMENTS.update({method: _of_table(method) for method in (sys.modules.get, sys.modules.__getitem__)})

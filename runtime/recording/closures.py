"""Functions that a call makes and hands on: the program makes them anew, around its own values."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import PythonType, Tree, values_in
from d2s.runtime.ir.sources import is_empty
from d2s.runtime.recording.locations import is_rewritten, user_location
from d2s.runtime.recording.places import CellLocation, GlobalLocation
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.torch_internals.calls import entries_of

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


def function_tree(recorder: Recorder, function: types.FunctionType, tree: Callable[[Any], Tree]) -> Tree:
    """A function in the program: itself, unless it holds on to something of this call.

    `tree` gives what the things that it holds on to are in the program.

    Raises:
        CaptureError: one of its variables is shared with code that writes it, or holds the function itself.
    """
    names, cells = function.__code__.co_freevars, function.__closure__ or ()
    own = {
        name: cell
        for name, cell in zip(names, cells, strict=True)
        if not is_empty(cell) and recorder.reachable.find(cell) is None
    }
    contents = {name: tree(cell.cell_contents) for name, cell in own.items()}
    defaults = tree(function.__defaults__), tree(function.__kwdefaults__)
    if not values_in((contents, *defaults)):
        return function
    if stores(function.__code__)[1] & own.keys():
        raise CaptureError(
            "D2S304",
            f"the function {function.__name__} is handed on, and writes variables of this call",
            "hand on an object with attributes",
            user_location(),
        )
    recorder.handed_on += [(function, cell, cell.cell_contents) for cell in own.values()]
    value = recorder.fresh(PythonType(types.FunctionType))
    recorder.emit_call(remake_function, (function, contents, *defaults), {}, value)
    return value


def check_class(recorder: Recorder, cls: type, tree: Callable[[Any], Tree]) -> None:
    """Go on only if a class that is handed on, or an object of it, holds on to nothing of this call.

    Raises:
        CaptureError: the call has made the class, with methods around its variables, or with values in it.
    """
    for base in cls.__mro__:
        entries = entries_of(base).values()
        methods = [part for item in entries for part in _functions_in(item) if is_rewritten(part.__code__)]
        held = [item for item in entries if isinstance(item, torch.Tensor) or is_staged(item)] if methods else []
        if held or any(function_tree(recorder, method, tree) is not method for method in methods):
            reason = f"the class {base.__name__} is made by the call, holds variables of it, and is handed on"
            remedy = "make the class outside, and hand them to its objects"
            raise CaptureError("D2S304", reason, remedy, user_location())


def _functions_in(item: Any) -> list[types.FunctionType]:
    """The functions that an entry of a class is made of."""
    parts = [item, getattr(item, "__func__", None), *(getattr(item, part, None) for part in ("fget", "fset", "fdel"))]
    return [part for part in parts if isinstance(part, types.FunctionType)]


def check_handed_on(recorder: Recorder) -> None:
    """At the end of a path, functions handed on must hold what they held when they were.

    Raises:
        CaptureError: a variable was written since.
    """
    for function, cell, contents in recorder.handed_on:
        if is_empty(cell) or cell.cell_contents is not contents:
            raise CaptureError(
                "D2S304",
                f"the function {function.__name__} is handed on, and a variable that it shares is written after",
                "give it the value as a default, such as `lambda x, y=y: x + y`",
            )


def remake_function(
    function: types.FunctionType, contents: dict[str, Any], defaults: Any, named: Any
) -> types.FunctionType:
    """The same function around other contents of its variables."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    closure = tuple(types.CellType(contents[name]) if name in contents else cell for name, cell in cells)
    made = types.FunctionType(function.__code__, function.__globals__, function.__name__, defaults, closure)
    made.__kwdefaults__ = named
    made.__qualname__ = function.__qualname__
    made.__dict__.update(function.__dict__)
    return made


@cache
def stores(code: types.CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals and the free variables that a code object, or one inside it, stores or deletes."""
    names_of_globals: set[str] = set()
    names_of_cells: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_GLOBAL", "DELETE_GLOBAL"):
            names_of_globals.add(instruction.argval)
        elif instruction.opname in ("STORE_DEREF", "DELETE_DEREF") and instruction.argval in code.co_freevars:
            names_of_cells.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner_globals, inner_cells = stores(constant)
            names_of_globals |= inner_globals
            names_of_cells |= inner_cells & set(code.co_freevars)
    return frozenset(names_of_globals), frozenset(names_of_cells)


def note_stores(recorder: Recorder, function: Any) -> None:
    """Tell the journal of the globals and the variables of outer functions that a function may write."""
    names_of_globals, names_of_cells = stores(function.__code__)
    for name in names_of_globals:
        recorder.journal.note(GlobalLocation(function.__globals__, name))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name in names_of_cells:
            recorder.journal.note(CellLocation(cell))

"""The texts of objects that have values known only at run time in them, made of the texts of their parts."""

from __future__ import annotations

import dataclasses
import inspect
import itertools
from collections.abc import Callable, Iterable
from reprlib import recursive_repr
from typing import Any

from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.locations import is_users_function
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.surroundings import note_printing
from d2s.runtime.recording.texts import is_run_time_text
from d2s.runtime.torch_internals.calls import entries_of

PLAIN = (str, bytes, int, float, complex, bool, type(None))


def join_text(*parts: str) -> str:
    """The parts in one text."""
    return "".join(parts)


def shown(value: Any) -> Any:
    """`str(value)`."""
    recorder = active_recorder()
    if is_run_time_text(value):
        return value
    if recorder is None or type(value) in PLAIN:
        return str(value)
    if is_staged(value):
        return recorder.text_call(str, (value,))
    method: Any = type(value).__str__
    form = users_form(recorder, method)
    if form is not None:
        return form(value)
    if method is KeyError.__str__ and len(value.args) == 1:
        return quoted(value.args[0])
    if isinstance(value, BaseException) and method is BaseException.__str__:
        return shown(value.args[0] if len(value.args) == 1 else value.args) if value.args else ""
    if method is object.__str__:
        return quoted(value)
    note_printing(recorder.reachable, value)
    return str(value)


def quoted(value: Any) -> Any:
    """`repr(value)`."""
    recorder = active_recorder()
    if recorder is None or type(value) in PLAIN:
        return repr(value)
    if is_staged(value):
        return recorder.text_call(repr, (value,))
    kind: Any = type(value)
    method: Any = kind.__repr__
    fields = _fields_shown(kind)
    if fields is not None:
        for name in fields:
            recorder.reads.note(value, name)
        return _call_shown(kind.__qualname__, ((f"{name}=", getattr(value, name)) for name in fields))
    form = users_form(recorder, method)
    if form is not None:
        return form(value)
    if kind in _BRACKETS:
        return _BRACKETS[kind](value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return _call_shown(kind.__name__, zip((f"{name}=" for name in kind._fields), value, strict=True))
    if method is BaseException.__repr__:
        return _call_shown(kind.__name__, (("", argument) for argument in value.args))
    note_printing(recorder.reachable, value)
    return repr(value)


def users_form(recorder: Recorder, method: Any) -> Any:
    """The form of a special method of the user's that records what it does, None of another's.

    A class in reach has such forms already.
    """
    if not is_users_function(inspect.unwrap(method)):
        return None
    return recorder.convert(method) if is_users_function(method) else getattr(method, "d2s_form", method)


def answered(function: Callable[[Any], Any], value: Any, *names: str) -> Any:
    """`function(value)`, such as `int(value)`, where the first of these special methods is the user's.

    That may answer what is known only at run time. NotImplemented if it is not the user's.
    """
    recorder, kind = active_recorder(), type(value)
    name = next((name for name in names if hasattr(kind, name)), None)
    if recorder is None or kind in PLAIN or is_staged(value) or name is None:
        return NotImplemented
    form = users_form(recorder, getattr(kind, name))
    if form is None:
        return NotImplemented
    answer = form(value)
    if is_staged(answer):
        return answer
    return function(type(kind.__name__, (), {name: lambda self: answer})())  # Python checks what was answered


def joined(parts: Iterable[Any]) -> Any:
    """The parts in one text, which is known only at run time if one of them is."""
    pieces = _merged(parts)
    recorder = recorder_for(*pieces)
    if recorder is None:
        return join_text(*pieces)
    return pieces[0] if len(pieces) == 1 else recorder.text_call(join_text, tuple(pieces))


def _merged(parts: Iterable[Any]) -> list[Any]:
    """The parts of a text, those that are known and next to each other in one."""
    merged: list[Any] = []
    for staged, group in itertools.groupby(parts, is_staged):
        pieces = list(group)
        merged += pieces if staged else filter(None, ["".join(pieces)])
    return merged


def _listed(start: str, items: Iterable[tuple[Any, ...]], end: str) -> Any:
    """Items, each given by the parts of its text, between commas."""
    parts: list[Any] = [start]
    for number, item in enumerate(items):
        parts += [", " if number else "", *item]
    return joined([*parts, end])


def _call_shown(name: str, arguments: Iterable[tuple[str, Any]]) -> Any:
    return _listed(f"{name}(", ((label, quoted(argument)) for label, argument in arguments), ")")


def _dict_shown(value: dict[Any, Any]) -> Any:
    return _listed("{", ((quoted(key), ": ", quoted(item)) for key, item in value.items()), "}")


def _tuple_shown(value: tuple[Any, ...]) -> Any:
    return _listed("(", ((quoted(item),) for item in value), ",)" if len(value) == 1 else ")")


_BRACKETS: dict[type, Callable[[Any], Any]] = {
    list: recursive_repr("[...]")(lambda value: _listed("[", ((quoted(item),) for item in value), "]")),
    tuple: recursive_repr("(...)")(_tuple_shown),
    dict: recursive_repr("{...}")(_dict_shown),
}


def _fields_shown(kind: type) -> list[str] | None:
    """The names of the fields in the text that `dataclasses` makes for a class, None where it does not."""
    owner = next(base for base in kind.__mro__ if "__repr__" in vars(base))
    parameters = vars(owner).get("__dataclass_params__")
    code = getattr(entries_of(owner).get("__repr__"), "__code__", None)
    made = code is not None and code.co_filename == dataclasses.__file__  # its guard against recursion
    if parameters is None or not parameters.repr or not made:
        return None
    return [field.name for field in dataclasses.fields(owner) if field.repr]

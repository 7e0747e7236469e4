"""The operators for f-strings, `%`, and the methods of texts."""

from __future__ import annotations

import itertools
import re
import string
from collections.abc import Callable, Iterator
from typing import Any

from d2s.runtime.operators.shown import PLAIN, joined, quoted, shown, users_form
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.recorder import active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import plain_copy
from d2s.runtime.recording.surroundings import note_printing
from d2s.runtime.recording.texts import is_run_time_text

_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"s": shown, "r": quoted, "a": ascii}
# A field of `%`: its key, its flags, width and precision, and its type.
_PERCENT = re.compile(
    r"%(?:\((?P<key>[^)]*)\))?(?P<shape>[-#0 +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?)(?P<type>.)", re.S
)


def formatted(value: Any, conversion: str | None, specification: Any) -> Any:
    """One replacement field of an f-string, `value!conversion:specification`."""
    if conversion is not None:
        value = _CONVERSIONS[conversion](value)
    if is_run_time_text(value) and specification == "":
        return value
    recorder = recorder_for(value, specification)
    if recorder is not None:
        return recorder.text_call(format, (value, specification))
    recorder = active_recorder()
    if recorder is None or type(value) in PLAIN:
        return format(value, specification)
    method: Any = type(value).__format__
    form = users_form(recorder, method)
    if form is not None:
        return form(value, specification)
    if method is object.__format__ and not specification:
        return shown(value)
    note_printing(recorder.reachable, value)
    return format(value, specification)


def text(*parts: Any) -> Any:
    """An f-string, its fields formatted."""
    return joined(parts)


def percent(template: str, values: Any) -> Any:
    """`template % values` for a text."""
    if active_recorder() is None or is_staged(template):
        return template % values
    pieces, given = _percent_parts(template, values)
    recorder = recorder_for(*given)
    if recorder is None:
        return template % values
    return recorder.text_call(str.__mod__, (pieces, tuple(given)))


def _percent_parts(template: str, values: Any) -> tuple[str, list[Any]]:
    """The same template for positional values, those of them that are objects already as texts."""
    left = iter(values if isinstance(values, tuple) else [values])
    given: list[Any] = []

    def field(match: re.Match[str]) -> str:
        key, shape, kind = match.group("key", "shape", "type")
        if kind == "%":
            return "%%"
        given.extend(itertools.islice(left, shape.count("*")))
        value = values[key] if key is not None else next(left, None)
        if kind not in "sr" or is_simple(value):
            given.append(value)
            return f"%{shape}{kind}"
        given.append(_CONVERSIONS[kind](value))
        return f"%{shape}s"

    return _PERCENT.sub(field, template), given


def is_simple(value: Any) -> bool:
    """Whether a value goes into a text as it is: no object that may hold a value of the run."""
    return is_staged(value) or type(value) in PLAIN


def format_text(template: str, *args: Any, **kwargs: Any) -> Any:
    """`template.format(*args, **kwargs)`."""
    return _formatted_text(template, args, kwargs, itertools.count())


def _formatted_text(template: str, args: tuple[Any, ...], kwargs: dict[str, Any], numbers: Iterator[int]) -> Any:
    parts: list[Any] = []
    for literal, name, specification, conversion in string.Formatter().parse(template):
        parts.append(literal)
        if name is None:
            continue
        if name == "" or name[0] in ".[":
            name = f"{next(numbers)}{name}"
        value, _ = string.Formatter().get_field(name, args, kwargs)
        inner = _formatted_text(specification, args, kwargs, numbers) if specification else ""
        parts.append(formatted(value, conversion, inner))
    return joined(parts)


def members(value: Any) -> list[Any]:
    """A value and, if it is a container, what is in it."""
    if issubclass(type(value), dict):  # `isinstance` would ask it for its class
        return [inner for item in plain_copy(value).values() for inner in members(item)]
    if issubclass(type(value), list | tuple) and not is_staged(value):
        return [inner for item in plain_copy(value) for inner in members(item)]
    return [value]

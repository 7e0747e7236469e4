"""The operators for f-strings and `%`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.staged import is_staged

_CONVERSIONS: dict[str | None, Callable[[Any], Any]] = {None: lambda value: value, "s": str, "r": repr, "a": ascii}


def format_value(value: Any, conversion: str | None, specification: str) -> str:
    """What `f"{value!conversion:specification}"` gives."""
    return format(_CONVERSIONS[conversion](value), specification)


def join_text(*parts: str) -> str:
    """The parts in one text."""
    return "".join(parts)


def formatted(value: Any, conversion: str | None, specification: Any) -> Any:
    """One replacement field of an f-string."""
    recorder = recorder_for(*members(value), specification)
    if recorder is not None:
        return recorder.text_call(format_value, (value, conversion, specification))
    return format_value(value, conversion, specification)


def text(*parts: Any) -> Any:
    """An f-string, its fields formatted."""
    recorder = recorder_for(*parts)
    return recorder.text_call(join_text, parts) if recorder is not None else join_text(*parts)


def percent(template: str, values: Any) -> Any:
    """`template % values` for a text."""
    recorder = recorder_for(*members(values))
    return recorder.text_call(str.__mod__, (template, values)) if recorder is not None else template % values


def members(value: Any) -> list[Any]:
    """A value and, if it is a container, what is in it."""
    if isinstance(value, dict):
        return [inner for item in value.values() for inner in members(item)]
    if isinstance(value, list | tuple) and not is_staged(value):
        return [inner for item in value for inner in members(item)]
    return [value]

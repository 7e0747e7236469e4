"""The operators for comprehensions and generator expressions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from d2s.runtime.operators.builtins import display
from d2s.runtime.operators.generators import Generated
from d2s.runtime.operators.loops import each
from d2s.runtime.operators.temporaries import is_kept
from d2s.runtime.operators.writes import note_contents
from d2s.runtime.recording.recorder import active_recorder


def _function(function: Any, count: int | None) -> Any:
    """The function for an item, which is to be unpacked into `count` if that is given."""
    if function is None or count is None:
        return function
    return lambda item: function(*_unpacked(item, count))


def _unpacked(item: Any, count: int) -> tuple[Any, ...]:
    """What `a, b = item` gives, and raises, for `count` names."""
    try:
        parts = tuple(item)
    except TypeError:
        raise TypeError(f"cannot unpack non-iterable {type(item).__name__} object") from None
    if len(parts) > count:
        raise ValueError(f"too many values to unpack (expected {count})")
    if len(parts) < count:
        raise ValueError(f"not enough values to unpack (expected {count}, got {len(parts)})")
    return parts


def generated(
    items: Iterable[Any], element: Any, keep: Any = None, nested: bool = False, unpacks: int | None = None
) -> Any:
    """`(element(item) for item in items if keep(item))`.

    Where `nested`, `element` gives several. With `unpacks`, the functions take so many parts of an item.
    """
    if not (hasattr(type(items), "__iter__") or hasattr(type(items), "__getitem__")):
        iter(items)  # raises what it raises: where the generator is made, not where its first item is taken
    made = Generated(items, _function(element, unpacks), _function(keep, unpacks), nested, is_kept(items))
    return made if active_recorder() is not None else made.given()


def listed(
    items: Iterable[Any], element: Any, keep: Any = None, nested: bool = False, unpacks: int | None = None
) -> list[Any]:
    """`[element(item) for item in items if keep(item)]`; see `generated`."""
    given = Generated(items, _function(element, unpacks), _function(keep, unpacks), nested, False)
    return list(given) if active_recorder() is None else collected(given, display([]))


def collected(items: Iterable[Any], into: list[Any]) -> list[Any]:
    """A list, with all items put into it."""

    def put(item: Any) -> None:
        note_contents(into)
        into.append(item)

    each(items, put, None, [])
    return into

"""The journal restores every kind of location and tells what changed."""

from __future__ import annotations

from collections import deque
from types import CellType, SimpleNamespace
from typing import Any

import pytest

from d2s.runtime.recording.journal import Journal
from d2s.runtime.recording.places import (
    MISSING,
    AttributeLocation,
    CellLocation,
    ContentsLocation,
    GlobalLocation,
    Location,
)


class WithDefault:
    a = 0


@pytest.mark.parametrize(
    "location, first, second",
    [
        (CellLocation(CellType(1)), 2, MISSING),
        (CellLocation(CellType()), 2, 3),
        (GlobalLocation({"a": 1}, "a"), MISSING, 2),
        (GlobalLocation({}, "a"), 2, 3),
        (AttributeLocation(SimpleNamespace(a=1), "a"), MISSING, 2),
        (AttributeLocation(SimpleNamespace(), "a"), 2, 3),
        (AttributeLocation(WithDefault(), "a"), 2, MISSING),
        (ContentsLocation([1, 2]), [3], []),
        (ContentsLocation({"a": 1, "b": 2}), {"b": 3, "a": 1}, {}),
        (ContentsLocation({1, 2}), {3}, set()),
        (ContentsLocation(deque([1, 2])), deque([3]), deque()),
    ],
)
def test_undo_restores(location: Location, first: Any, second: Any) -> None:
    journal = Journal()
    before = location.read()
    journal.write(location, first)
    mark = journal.mark()
    journal.write(location, second)
    assert location.read() == second
    assert journal.since(mark) == {location: first}
    journal.undo(mark)
    assert location.read() == first
    assert journal.since(0) == {location: before}
    journal.undo(0)
    assert location.read() == before
    assert list(location.read() if isinstance(before, dict) else ()) == list(
        before if isinstance(before, dict) else ()
    )


def test_equal_locations_are_the_same_place() -> None:
    owner = SimpleNamespace()
    assert AttributeLocation(owner, "a") == AttributeLocation(owner, "a")
    assert AttributeLocation(owner, "a") != AttributeLocation(owner, "b")
    assert ContentsLocation([]) != ContentsLocation([])

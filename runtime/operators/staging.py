"""What the operators ask first: is a recording going on, and is this value known only when the program runs?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from d2s.runtime.recording.places import CellLocation, GlobalLocation, Location
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged

Thunk = Callable[[], Any]
Region = Callable[[], None]


def recorder_for(*values: object) -> Recorder | None:
    """The active recorder if one of the values is known only when the program runs, else None."""
    recorder = active_recorder()
    return recorder if recorder is not None and any(map(is_staged, values)) else None


def shared_locations(regions: list[Any], names: Iterable[str]) -> list[Location]:
    """Where the variables are that regions share with the function around them."""
    cells: dict[str, Any] = {}
    for region in regions:
        cells.update(zip(region.__code__.co_freevars, region.__closure__ or (), strict=True))
    namespace = regions[0].__globals__
    return [CellLocation(cells[name]) if name in cells else GlobalLocation(namespace, name) for name in names]

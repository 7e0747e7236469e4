"""What of a call may be another at the next one, so that the program takes it as it comes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from d2s.runtime.ir.sources import Argument, Attribute, Cell, Global, Item, Member, Source, read
from d2s.runtime.recording.places import AttributeLocation, CellLocation, GlobalLocation, Location


@dataclass(frozen=True)
class Dynamic:
    """The dimensions of tensors and the numbers that are known only when the program runs, by their paths."""

    dimensions: Mapping[Source, frozenset[int]] = field(default_factory=dict)
    numbers: frozenset[Source] = frozenset()

    def __or__(self, other: Dynamic) -> Dynamic:
        sources = dict.fromkeys([*self.dimensions, *other.dimensions])
        nothing: frozenset[int] = frozenset()
        dimensions = {
            source: self.dimensions.get(source, nothing) | other.dimensions.get(source, nothing) for source in sources
        }
        return Dynamic(dimensions, self.numbers | other.numbers)

    def __bool__(self) -> bool:
        return bool(self.dimensions or self.numbers)


NOTHING = Dynamic()


def location_of(source: Source, arguments: Mapping[str, Any]) -> Location | None:
    """The place at a path, None if it can't be written on its own: an argument, an item of a container."""
    match source:
        case Global():
            return GlobalLocation(source.namespace, source.name)
        case Cell(cell):
            return CellLocation(cell)
        case Attribute(base, name) | Member(base, _, name):
            return AttributeLocation(read(base, arguments), name)
    return None


def is_part_of_arguments(source: Source, arguments: Mapping[str, Any]) -> bool:
    """Whether a path is that of an argument, or of an item of a tuple that is one."""
    match source:
        case Argument():
            return True
        case Item(base, _):
            return is_part_of_arguments(base, arguments) and type(read(base, arguments)) is tuple
    return False


def with_parts(source: Source, value: Any, parts: Mapping[Source, Any]) -> Any:
    """An argument with other things at the paths of some of its parts."""
    if source in parts:
        return parts[source]
    if type(value) is not tuple:
        return value
    items = tuple(with_parts(Item(source, index), item, parts) for index, item in enumerate(value))
    return value if all(new is old for new, old in zip(items, value, strict=True)) else items

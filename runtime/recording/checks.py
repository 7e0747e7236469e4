"""What a guard can ask of the object at a path."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.ir.program import TensorType
from d2s.runtime.ir.sources import Source

# In place of a size that is unknown.
_ANY_SIZE = 2


@dataclass(frozen=True)
class IsValue:
    """Equal, and of the same type."""

    value: Any


@dataclass(frozen=True)
class IsObject:
    """This very object."""

    thing: Any


@dataclass(frozen=True)
class IsFunction:
    """This very function, with this code and these defaults, and without attributes if it had none."""

    function: types.FunctionType
    code: types.CodeType
    defaults: Any
    has_attributes: bool


@dataclass(frozen=True)
class IsTensor:
    """A tensor like this one: its class, type, strides and device, and whether it is a leaf of the gradients' graph.

    `strides` is None if they may be any; `has_grad` is whether it has a gradient already, None where the function
    does not ask. A view of a leaf can't be written in place.
    """

    cls: type
    type: TensorType
    strides: tuple[int, ...] | None
    leaf: bool
    has_grad: bool | None = None
    of_leaf: bool = False

    def example(self) -> torch.Tensor:
        """A tensor like this one, with anything in it."""
        shape = [_ANY_SIZE if size is None else size for size in self.type.shape]
        if self.strides is None:
            return self._of_class(torch.empty(shape, dtype=self.type.dtype, device=self.type.device))
        return self._of_class(
            torch.empty_strided(shape, self.strides, dtype=self.type.dtype, device=self.type.device)
        )

    def stand_in(self) -> torch.Tensor:
        """A tensor of this class and type, whose elements take no memory and whose strides are none of these."""
        shape = [_ANY_SIZE if size is None else size for size in self.type.shape]
        return self._of_class(torch.empty((), dtype=self.type.dtype, device=self.type.device).expand(shape))

    def _of_class(self, tensor: torch.Tensor) -> torch.Tensor:
        tensor.requires_grad_(self.type.requires_grad)
        if self.cls is torch.nn.Parameter:
            return torch.nn.Parameter(tensor, self.type.requires_grad)
        return tensor if self.cls is torch.Tensor else tensor.as_subclass(self.cls)


@dataclass(frozen=True)
class HasForm:
    """An object of this class; `length` is that of a sequence, `keys` are those of a dict, in order."""

    cls: type
    length: int | None = None
    keys: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class HasMembers:
    """An object of this class that gives these, which are told apart by class and value, in this order."""

    cls: type
    members: tuple[Any, ...]


@dataclass(frozen=True)
class HasText:
    """An object of this class whose `repr` is this, for a class where that tells all there is."""

    cls: type
    text: str


@dataclass(frozen=True)
class IsMissing:
    """There is nothing at the path: no attribute, or none of the module itself that would hide its class's."""


@dataclass(frozen=True)
class Lacks:
    """The dict of a class or module without any of these names; one that has still `length` entries is believed."""

    names: frozenset[str]
    length: int | None = None


@dataclass(frozen=True)
class IsEmpty:
    """A table of hooks without any."""


@dataclass(frozen=True)
class HasContents:
    """A block of numbers, such as an array of numpy's, that holds these."""

    cls: type
    contents: tuple[Any, ...]


@dataclass(frozen=True)
class IsSame:
    """The very object that another path leads to."""

    other: Source


@dataclass(frozen=True)
class Differs:
    """Another object than those that other paths lead to, which differ from each other too."""

    others: tuple[Source, ...]


# Where two places hold the same, that is no news.
Whole = IsValue | IsObject | IsFunction | HasText | IsMissing | IsEmpty | Lacks
Check = Whole | IsTensor | HasForm | HasMembers | HasContents | IsSame | Differs


@dataclass(frozen=True)
class Guard:
    """What must hold of the object at a path."""

    source: Source
    check: Check

    def __str__(self) -> str:
        return f"{self.source}: {self.check}"

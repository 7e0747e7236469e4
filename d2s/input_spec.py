"""`InputSpec`: what is said of a tensor argument beforehand, so that one program serves all that fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from d2s.errors import D2SError
from d2s.runtime.ir.program import covers_shape
from d2s.runtime.ir.sources import Argument, Item, Source
from d2s.runtime.recording.dynamic import Dynamic

# Sizes of the tensors that stand for a specification where there is no call yet; which they are does not matter.
_EXAMPLE_SIZE = 2


class InputSpec:
    """A tensor argument: its shape, with None (or -1) for each size that may be any, and its dtype.

    Args:
        shape: the sizes, in elements.
        dtype: the type of the elements; None for any.
        name: what messages and exported programs call the argument.
    """

    def __init__(
        self, shape: Sequence[int | None], dtype: torch.dtype | None = torch.float32, name: str | None = None
    ) -> None:
        if isinstance(shape, int) or not all(size is None or (type(size) is int and size >= -1) for size in shape):
            raise D2SError(f"the shape of an InputSpec is a list of sizes and None, not {shape!r}")
        if dtype is not None and not isinstance(dtype, torch.dtype):
            raise D2SError(f"the dtype of an InputSpec is one of torch's, not {dtype!r}")
        self.shape = tuple(None if size == -1 else size for size in shape)
        self.dtype = dtype
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: torch.Tensor, name: str | None = None) -> InputSpec:
        """The specification of tensors just like this one."""
        return cls(tuple(tensor.shape), tensor.dtype, name)

    def __repr__(self) -> str:
        name = f", name={self.name!r}" if self.name else ""
        return f"InputSpec({list(self.shape)}, {self.dtype}{name})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, InputSpec) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype, self.name))

    @property
    def dynamic(self) -> frozenset[int]:
        """The dimensions that may be of any size."""
        return frozenset(dimension for dimension, size in enumerate(self.shape) if size is None)

    def fits(self, thing: object) -> bool:
        """Whether an argument is as is said here."""
        if not isinstance(thing, torch.Tensor):
            return False
        return self.dtype in (None, thing.dtype) and covers_shape(self.shape, thing.shape)

    def example(self) -> torch.Tensor:
        """A tensor that fits."""
        sizes = [_EXAMPLE_SIZE if size is None else size for size in self.shape]
        return torch.zeros(sizes, dtype=self.dtype or torch.float32)


class Specification:
    """The `input_spec` of a static function: one entry for each parameter, in order, from `first` on.

    An entry is an InputSpec, a list, tuple or dict with such in it, or anything else: a value that is not checked.
    """

    def __init__(self, entries: Sequence[Any], parameters: Sequence[str], first: int = 0):
        names = list(parameters)[first:]
        if not isinstance(entries, list | tuple):
            raise D2SError(f"input_spec is a list with an entry for each argument, not {entries!r}")
        if len(entries) > len(names):
            raise D2SError(f"input_spec has {len(entries)} entries, and the parameters are {', '.join(names)}")
        self.entries = dict(zip(names, entries, strict=False))

    def dynamic(self, arguments: Mapping[str, Any]) -> Dynamic:
        """What the specification leaves open.

        Raises:
            D2SError: an argument does not fit.
        """
        dimensions: dict[Source, frozenset[int]] = {}
        for name, entry in self.entries.items():
            for source, spec, given in _leaves(Argument(name), entry, arguments[name]):
                if not spec.fits(given):
                    what = spec.name or str(source)
                    raise D2SError(f"{what} is {_described(given)}, and its input_spec says {spec!r}")
                dimensions[source] = spec.dynamic
        return Dynamic({source: open_ for source, open_ in dimensions.items() if open_})

    def examples(self) -> dict[str, Any]:
        """Arguments that fit."""
        return {name: _example(entry) for name, entry in self.entries.items()}


def _leaves(source: Source, entry: Any, given: Any) -> Iterator[tuple[Source, InputSpec, Any]]:
    if isinstance(entry, InputSpec):
        yield source, entry, given
        return
    keys = entry.keys() if isinstance(entry, dict) else range(len(entry)) if isinstance(entry, list | tuple) else ()
    for key in keys:
        try:
            item = given[key]
        except (LookupError, TypeError):
            raise D2SError(f"{source} has no {key!r}, which its input_spec names") from None
        yield from _leaves(Item(source, key), entry[key], item)


def _example(entry: Any) -> Any:
    if isinstance(entry, InputSpec):
        return entry.example()
    if isinstance(entry, list | tuple):
        return type(entry)(map(_example, entry))
    return {key: _example(item) for key, item in entry.items()} if isinstance(entry, dict) else entry


def _described(thing: Any) -> str:
    if isinstance(thing, torch.Tensor):
        return f"a tensor of {str(thing.dtype).removeprefix('torch.')} {list(thing.shape)}"
    return f"{type(thing).__name__} {thing!r}"

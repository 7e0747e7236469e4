"""What the operators that run do besides computing: what they write, and whether they draw random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from d2s.runtime.torch_internals.modes import without_recording


def storage_key(tensor: torch.Tensor) -> int | None:
    """Equal for tensors that share memory; None where a layout has no storage."""
    try:
        with without_recording():
            return tensor.untyped_storage()._cdata
    except (NotImplementedError, RuntimeError):
        return None


def memory_of(thing: Any) -> range:
    """The addresses that the numbers of a tensor, or of a block such as an array of numpy's, may lie at."""
    if isinstance(thing, torch.Tensor):
        if storage_key(thing) is None:
            return range(0)
        with without_recording():
            storage = thing.untyped_storage()
            return range(storage.data_ptr(), storage.data_ptr() + storage.nbytes())
    view = memoryview(thing)
    if not view.nbytes:
        return range(0)
    if hasattr(thing, "__array_interface__"):
        first = thing.__array_interface__["data"][0]
        reach = [(size - 1) * step for size, step in zip(view.shape or (), view.strides or (), strict=True)]
        start = first + sum(step for step in reach if step < 0)
        return range(start, first + sum(step for step in reach if step > 0) + view.itemsize)
    return memory_of(torch.frombuffer(view.cast("B"), dtype=torch.uint8))


class EffectsWatch(TorchDispatchMode):
    """Notices what the operators that run do: whether they draw from a generator, and what memory they write.

    `written` is by `storage_key`. It serves for tensors of inference mode, which count no versions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.drew = False
        self.written: set[int | None] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        self.drew |= torch.Tag.nondeterministic_seeded in func.tags and not _drops_nothing(func, args, kwargs)
        if torch.is_inference_mode_enabled():
            for argument, given in _arguments(func, args, kwargs):
                if argument.alias_info is not None and argument.alias_info.is_write:
                    self.written |= {storage_key(item) for item in (given if isinstance(given, list) else [given])}
        if func in _NORMALISING:
            self.written |= {storage_key(one) for one in _statistics(func, args, kwargs) if one is not None}
        return func(*args, **kwargs)


# These write running statistics, which neither their schemas nor the versions of the tensors tell.
_NORMALISING = (torch.ops.aten.native_batch_norm.default, torch.ops.aten.cudnn_batch_norm.default)


def _statistics(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The tensors that a normalisation updates."""
    given = {argument.name: value for argument, value in _arguments(func, args, kwargs)}
    return [given["running_mean"], given["running_var"]] if given["training"] else []


def _arguments(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """The arguments of an operator's schema, with what it is given for them."""
    for position, argument in enumerate(func._schema.arguments):
        yield argument, args[position] if position < len(args) else kwargs.get(argument.name, argument.default_value)


def _drops_nothing(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether an operator has dropout inside, which it is told to leave out: attention draws only for that."""
    return any(argument.name == "dropout_p" and given == 0 for argument, given in _arguments(func, args, kwargs))


def version(tensor: torch.Tensor) -> int:
    """How often a tensor was written, 0 where that is not counted."""
    return 0 if tensor.is_inference() else tensor._version


def is_view_of_leaf(tensor: torch.Tensor) -> bool:
    """Whether a tensor that requires a gradient is a view of a leaf that does."""
    return tensor.requires_grad and tensor._is_view() and tensor._base.is_leaf and tensor._base.requires_grad


def hooks_of(tensor: torch.Tensor) -> list[Any]:
    """The functions that `backward` calls for a tensor."""
    tables = tensor._backward_hooks, tensor._post_accumulate_grad_hooks
    return [hook for table in tables if table for hook in table.values()]

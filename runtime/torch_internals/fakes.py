"""Tensors without data, on which a function is recorded."""

from __future__ import annotations

import importlib
import logging
import sys
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from torch.fx.experimental.symbolic_shapes import (
    GuardOnDataDependentSymNode,
    ShapeEnv,
    statically_known_true,
)
from torch.utils._sympy.functions import FloorDiv, Mod, PythonMod

from d2s.runtime.torch_internals.calls import replaced
from d2s.runtime.torch_internals.modes import without_recording

# What torch raises where an answer needs data that a fake tensor does not have.
FAKE_ERRORS = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
    GuardOnDataDependentSymNode,
)


def can_be_fake(tensor: torch.Tensor) -> bool:
    """Whether torch has fakes for tensors of this layout."""
    layouts = torch.strided, torch.sparse_coo, torch.jagged, torch._mkldnn
    is_nested = tensor.is_nested and tensor.layout is torch.strided
    return tensor.layout in layouts and not tensor.is_quantized and not is_nested


def _import_aside(name: str) -> None:
    """Import what torch imports for its first fakes, in a thread.

    In it an import fails (that of z3), and the frames below are kept for ever, with the user's objects in them.
    """
    if name not in sys.modules:
        thread = threading.Thread(target=importlib.import_module, args=(name,))
        thread.start()
        thread.join()


class FakeWorld:
    """Tensors without data, and the symbols that stand for sizes and numbers not known yet."""

    def __init__(self) -> None:
        _import_aside("torch.fx.experimental.validator")
        self.shape_env = ShapeEnv()
        self.mode = FakeTensorMode(shape_env=self.shape_env)

    @contextmanager
    def taking_real_tensors(self) -> Iterator[None]:
        """While code is tried that reads real tensors, of which fakes are made on the way."""
        before, self.mode.allow_non_fake_inputs = self.mode.allow_non_fake_inputs, True
        try:
            yield
        finally:
            self.mode.allow_non_fake_inputs = before

    def fake(self, tensor: torch.Tensor, unknown: Collection[int] = ()) -> torch.Tensor:
        """A fake that stands for a real tensor: same type and autograd role.

        If all dimensions are known, it is also a view of the same structure. Those that are `unknown` are for a
        tensor that is contiguous.
        """
        with without_recording(), torch.inference_mode(tensor.is_inference()):
            if not unknown:
                return forget_constant(self.mode.from_tensor(tensor, static_shapes=True))
            shape = [None if dimension in unknown else size for dimension, size in enumerate(tensor.shape)]
            if not tensor.is_leaf:
                return self.empty(tensor.dtype, shape, tensor.device, True)
            return self.empty(tensor.dtype, shape, tensor.device, False).requires_grad_(tensor.requires_grad)

    def empty(self, dtype: torch.dtype, shape: Any, device: torch.device, requires_grad: bool) -> torch.Tensor:
        """A fake tensor of which nothing else is known; None in `shape` is an unknown size.

        One that requires grad is the result of a computation, not a leaf.
        """
        with without_recording(), torch.enable_grad():
            sizes = [self._unknown_size() if size is None else size for size in shape]
            fake = torch.empty(sizes, dtype=dtype, device=device, requires_grad=requires_grad)
            return fake.clone() if requires_grad else fake

    def known_sizes(self, tensor: torch.Tensor, size_of: Callable[[Any], int]) -> list[int]:
        """The sizes of a fake tensor, if the symbols in them have the values that `size_of` gives."""
        with without_recording():
            return [size if type(size) is int else self.with_values(size.node, size_of) for size in tensor.shape]

    def with_sizes(self, tensor: torch.Tensor, sizes: list[int]) -> torch.Tensor:
        """A fake tensor like this one, of these sizes."""
        with without_recording(), torch.enable_grad():
            made = torch.empty(sizes, dtype=tensor.dtype, device=tensor.device, requires_grad=tensor.requires_grad)
            return made if tensor.is_leaf or not tensor.requires_grad else made.clone()

    def with_values(self, node: Any, value_of: Callable[[Any], int]) -> int:
        """The number that a symbolic node stands for, if the symbols in it have these values."""
        expression = self.shape_env.replace(node.expr)
        symbols = sorted(expression.free_symbols, key=str)
        return int(expression.subs({symbol: value_of(symbol) for symbol in symbols}))

    @property
    def assumed(self) -> int:
        """How many unknown sizes were found to be equal to others so far."""
        return len(self.shape_env.replacements)

    def labels(self, tensor: torch.Tensor) -> tuple[Any, ...]:
        """The sizes of a fake: numbers, and texts for the unknown, the same where they are taken to be equal."""
        with without_recording():
            return tuple(size if type(size) is int else self._label(size) for size in tensor.shape)

    def _label(self, size: Any) -> int | str:
        expression = self.shape_env.replace(size.node.expr)
        return int(expression) if expression.is_number else str(expression)

    def has_size(self, tensor: torch.Tensor, dimension: int, size: int) -> bool | None:
        """Whether a dimension of a fake has this size, None if that is not known."""
        with without_recording():
            found = tensor.shape[dimension]
            if statically_known_true(found == size):
                return True
            return False if statically_known_true(found != size) else None

    def learn_size(self, tensor: torch.Tensor, dimension: int, size: int, equal: bool) -> None:
        """From now on a dimension of a fake is known to have a size, or to have another."""
        with without_recording():
            found = tensor.shape[dimension]
            torch._check(found == size if equal else found != size)

    def _unknown_size(self) -> Any:
        size = self.shape_env.create_unbacked_symint()
        torch._check(size >= 0)
        return size

    def fresh_node(self, kind: type) -> Any:
        """A symbolic node for a number of which nothing is known."""
        make = {
            int: self.shape_env.create_unbacked_symint,
            float: self.shape_env.create_unbacked_symfloat,
            bool: self.shape_env.create_unbacked_symbool,
        }
        return make[kind]().node


def fakes_list_as_tensors() -> AbstractContextManager[None]:
    """Have `tolist` of a fake be that of all tensors, which modes see."""
    return replaced(FakeTensor, "tolist", torch.Tensor.tolist)


def symbolic_kind(thing: object) -> type | None:
    """int, float or bool for one of torch's symbolic numbers, None for anything else."""
    kinds = {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}
    return kinds.get(type(thing))


def rounds(number: object) -> bool:
    """Whether a quotient or a remainder is part of the expression of a symbolic number."""
    return isinstance(number, torch.SymInt) and number.node.expr.has(FloorDiv, Mod, PythonMod)


def known_shape(tensor: torch.Tensor) -> tuple[int | None, ...]:
    """The shape of a fake tensor, None for each size that is unknown."""
    with without_recording():
        return tuple(size if type(size) is int else None for size in tensor.shape)


def is_fake(tensor: torch.Tensor) -> bool:
    """Whether a tensor has no data."""
    return isinstance(tensor, FakeTensor)


def forget_constant(tensor: torch.Tensor) -> torch.Tensor:
    """The same fake tensor, without the known contents that torch keeps for `torch.tensor(3)`.

    Both sides of a branch may write to it, so what torch believes is its content is not.
    """
    if isinstance(tensor, FakeTensor):
        tensor.constant = None
    return tensor


@contextmanager
def without_logs_of_fakes() -> Iterator[None]:
    """Torch logs each error that a call of the user's raises on fakes; the user is told once, by the error itself."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def real_zeros(fake: torch.Tensor) -> torch.Tensor:
    """A tensor with data of the type, strides and autograd role of a fake, or a view of one; its numbers are zero.

    Raises:
        Exception: a size is unknown.
    """
    with torch.inference_mode(fake.is_inference()), torch.enable_grad():
        if fake._base is not None:
            return real_zeros(fake._base).as_strided(fake.shape, fake.stride(), fake.storage_offset())
        made = torch.empty_strided(tuple(fake.shape), fake.stride(), dtype=fake.dtype, device=fake.device)
        made.zero_().requires_grad_(fake.requires_grad)
        return made if fake.is_leaf else made.clone()

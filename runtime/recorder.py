"""Records the public torch calls that a function makes on fake tensors as the ops of a program."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from d2s.runtime.errors import CaptureError, Location
from d2s.runtime.lifting import Reachable, role_of
from d2s.runtime.program import (
    Block,
    Call,
    Effects,
    Input,
    Op,
    TensorType,
    Tree,
    Value,
    ValueType,
    map_tree,
)
from d2s.runtime.sources import Constant
from d2s.runtime.torch_internals import (
    GRAD_MODE_SWITCHES,
    FakeWorld,
    RandomnessWatch,
    forget_constant,
    is_fake,
    storage_key,
)

_active: list[Recorder] = []


def active_recorder() -> Recorder | None:
    """The recorder that is at work, or None."""
    return _active[-1] if _active else None


class Recorder(TorchFunctionMode):
    """One recording: the block being filled, and which value stands for which object.

    Real tensors that a call meets are faked once and become inputs. The fakes live as long as the recording,
    so that objects can be told apart by `id`.
    """

    def __init__(self, reachable: Reachable) -> None:
        super().__init__()
        self.reachable = reachable
        self.world = FakeWorld()
        self.inputs: list[Input] = []
        self.block = Block()
        self._next_number = 0
        self._values: dict[int, tuple[Any, Value]] = {}
        self._fakes: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._originals: dict[int, torch.Tensor] = {}

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Everything that torch is asked inside becomes part of the current block."""
        with ExitStack() as stack:
            _active.append(self)
            stack.callback(_active.pop)
            stack.enter_context(self.world.mode)
            self._watch = stack.enter_context(RandomnessWatch())
            stack.enter_context(self)
            yield

    # -------------------------------------------------------------- values

    def fresh(self, value_type: ValueType) -> Value:
        """A value that no op defines yet."""
        value = Value(self._next_number, value_type)
        self._next_number += 1
        return value

    def emit(self, op: Op) -> None:
        """Add an op to the current block."""
        self.block.ops.append(op)

    def bind(self, stand_in: Any, value: Value) -> None:
        """From now on this object stands for `value`."""
        self._values[id(stand_in)] = (stand_in, value)

    def value_of(self, tensor: torch.Tensor) -> Value:
        """The value that a tensor stands for; a real one is lifted."""
        fake = self.fake(tensor)
        entry = self._values.get(id(fake))
        if entry is None:
            raise CaptureError("a tensor was made by a function of torch that can't be recorded")
        return entry[1]

    def fake(self, tensor: torch.Tensor) -> torch.Tensor:
        """The fake of a tensor; a real one becomes an input of the program when it is first met."""
        if is_fake(tensor):
            return tensor
        entry = self._fakes.get(id(tensor))
        if entry is None:
            entry = (tensor, self._lift(tensor))
            self._fakes[id(tensor)] = entry
        return entry[1]

    def _lift(self, tensor: torch.Tensor) -> torch.Tensor:
        fake = self.world.fake(tensor)
        source = self.reachable.find(tensor)
        value = self.fresh(type_of(fake))
        role = role_of(tensor, source)
        self.inputs.append(Input(value, source or Constant(tensor, f"constant{value.number}"), role))
        self.bind(fake, value)
        self._originals[id(fake)] = tensor
        return fake

    def operand(self, leaf: Any) -> Tree:
        """What an argument of a call is in the program."""
        return self.value_of(leaf) if isinstance(leaf, torch.Tensor) else leaf

    # -------------------------------------------------------------- calls

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in GRAD_MODE_SWITCHES:
            return func(*args, **kwargs)  # every call is recorded with the grad mode that it ran in
        fake_args, fake_kwargs = map_tree(self._for_inference, (tuple(args), kwargs))
        tensors = tensors_in((fake_args, fake_kwargs))
        versions = [tensor._version for tensor in tensors]
        self._watch.drew = False
        outcome = func(*fake_args, **fake_kwargs)
        written = [t for t, version in zip(tensors, versions, strict=True) if t._version != version]
        if outcome is None or written or tensors_in(outcome):
            self._record_call(func, args, kwargs, outcome, tensors, written)
        return map_tree(self._as_user_sees_it, outcome)

    def _for_inference(self, leaf: Any) -> Any:
        return self.fake(leaf) if isinstance(leaf, torch.Tensor) else leaf

    def _as_user_sees_it(self, leaf: Any) -> Any:
        """The user's own tensor where a call returns the fake of it, so that `is` holds."""
        return self._originals.get(id(leaf), leaf) if isinstance(leaf, torch.Tensor) else leaf

    def _record_call(
        self,
        func: Callable[..., Any],
        args: Any,
        kwargs: dict[str, Any],
        outcome: Any,
        tensors: list[torch.Tensor],
        written: list[torch.Tensor],
    ) -> None:
        shared = {storage_key(tensor) for tensor in tensors_in(outcome)} - {None}
        effects = Effects(
            writes=tuple(dict.fromkeys(map(self.value_of, written))),
            aliases=tuple(
                dict.fromkeys(self.value_of(tensor) for tensor in tensors if storage_key(tensor) in shared)
            ),
            random=self._watch.drew,
            ordered=outcome is None and not written,
        )
        operands, named = map_tree(self.operand, (tuple(args), kwargs))
        result = self._result(outcome)
        if result is None and effects.pure:
            return
        grad = torch.is_grad_enabled()
        self.emit(Call(func, operands, named, result, effects, grad, user_location()))

    def _result(self, outcome: Any) -> Tree:
        """The result of a call: a new value for each tensor that is new, None for the rest."""
        if isinstance(outcome, torch.Tensor):
            if id(outcome) in self._values:
                return None
            value = self.fresh(type_of(forget_constant(outcome)))
            self.bind(outcome, value)
            return value
        if isinstance(outcome, tuple | list):
            parts = tuple(self._result(part) for part in outcome)
            return parts if any(part is not None for part in parts) else None
        return None


def tensors_in(tree: Any) -> list[torch.Tensor]:
    """The tensors of a tree of tuples, lists, dicts and what torch returns, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, tuple | list):
        return [tensor for item in tree for tensor in tensors_in(item)]
    if isinstance(tree, dict):
        return [tensor for item in tree.values() for tensor in tensors_in(item)]
    return []


def type_of(tensor: torch.Tensor) -> TensorType:
    """The type of the value that a fake tensor stands for."""
    sizes = tuple(size if type(size) is int else None for size in tensor.shape)
    return TensorType(tensor.dtype, sizes, tensor.device, tensor.requires_grad)


_TORCH = torch.__file__.removesuffix("__init__.py")
_HERE = __file__.removesuffix("recorder.py")


def user_location() -> Location | None:
    """The line of the user's code that is running."""
    frame = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if not code.co_filename.startswith((_TORCH, _HERE, "<")):
            return Location(code.co_filename, frame.f_lineno, code.co_name)
        frame = frame.f_back  # type: ignore[assignment]
    return None

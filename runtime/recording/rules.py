"""Calls of torch that fake tensors can't answer, and how they are recorded instead."""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch

from d2s.runtime.errors import CaptureError, D2SError
from d2s.runtime.ir.program import ORDERED, PythonType, Value
from d2s.runtime.recording.gradients import Presence
from d2s.runtime.recording.hooks import check_hooks, registering
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.locations import current_site
from d2s.runtime.recording.numbers import is_run_time_number
from d2s.runtime.recording.recorder import Recorder
from d2s.runtime.recording.specs import OfPython
from d2s.runtime.recording.structures import tensors_in


def _truth(recorder: Recorder, tensor: torch.Tensor) -> bool:
    """`bool(tensor)` where Python itself asks: the recording forks."""
    return recorder.decide(tensor)


def _predicate(function: Any) -> Any:
    """A function of tensors that gives a bool."""

    def rule(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        return recorder.number_call(function, args, bool, kwargs=kwargs)

    return rule


def _position(position: Any) -> Any:
    """A position to infer from, in place of one that is known only at run time: 0 gives the same shape."""
    if isinstance(position, tuple):
        return tuple(map(_position, position))
    if is_run_time_number(position) and position.kind is int:
        return 0
    return 0 if _is_index(position) else position


_INDEX_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def _as_position(recorder: Recorder, position: Any) -> Any:
    """A position as torch takes it: the bounds of slices as numbers, a list of the run as a tensor."""
    if isinstance(position, tuple):
        return tuple(_as_position(recorder, part) for part in position)
    if is_run_time_sequence(position):
        recorder.pending_error = None  # torch has asked for its length, and can do without
        return torch.tensor(position)
    if not isinstance(position, slice):
        return position
    bounds = (position.start, position.stop, position.step)
    return slice(*(recorder.number_call(operator.index, (b,), int) if _is_index(b) else b for b in bounds))


def _is_index(thing: Any) -> bool:
    return isinstance(thing, torch.Tensor) and thing.dim() == 0 and thing.dtype in _INDEX_TYPES


def _get_item(recorder: Recorder, tensor: torch.Tensor, position: Any) -> Any:
    """`tensor[position]`."""
    position = _as_position(recorder, position)
    return recorder.record(torch.Tensor.__getitem__, (tensor, position), {}, (tensor, _position(position)))


def _set_item(recorder: Recorder, tensor: torch.Tensor, position: Any, value: Any) -> Any:
    """`tensor[position] = value`."""
    position = _as_position(recorder, position)
    inferred_from = (tensor, _position(position), value)
    return recorder.record(torch.Tensor.__setitem__, (tensor, position, value), {}, inferred_from)


def _gradient(recorder: Recorder, tensor: torch.Tensor, *args: Any) -> Any:
    """`tensor.grad`: whether the user's tensor has one already is part of the signature."""
    recorder.asked_for_grad.add(id(tensor))
    return recorder.gradients.read(tensor)


def _set_gradient(recorder: Recorder, tensor: torch.Tensor, gradient: torch.Tensor | None = None) -> None:
    """`tensor.grad = gradient`, or `del tensor.grad`."""
    fake = recorder.fake(tensor)
    recorder.record(torch.Tensor.grad.__set__, (tensor, gradient), {})
    recorder.gradients.set(fake, None if gradient is None else recorder.fake(gradient))


def _squeeze(function: Any) -> Any:
    """`squeeze`: how many dimensions the answer has depends on sizes, which are decided."""

    def rule(recorder: Recorder, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("dim")
        count = len(recorder.type_of(tensor).shape)
        dimensions = range(count) if given is None else given if isinstance(given, tuple | list) else (given,)
        for dimension in dimensions:
            if count and -count <= dimension < count:
                recorder.has_size(tensor, dimension, 1)
        return recorder.record(function, (tensor, *args), kwargs)

    return rule


def _node(recorder: Recorder, tensor: torch.Tensor, *args: Any) -> None:
    """`tensor.grad_fn`: only where there is none, which the program checks if the recording can't know it."""
    if not recorder.is_leaf(tensor):
        raise CaptureError(
            "D2S402", "a node of the graph of gradients is asked for", "do that outside of the static function"
        )
    if recorder.uncertain_gradients:
        recorder.emit_call(expect_no_node, (tensor,), {}, None, ORDERED)


def expect_no_node(tensor: torch.Tensor) -> None:
    """Do nothing for a tensor without history.

    Raises:
        D2SError: it has one, though the program was made for one that has none.
    """
    if tensor.grad_fn is not None:
        raise D2SError("a tensor has a gradient function where the program was captured for one without")


def _backward(function: Any) -> Any:
    """A function that adds to the gradients of the leaves."""
    signature = inspect.signature(function)

    def rule(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        check_hooks(recorder)
        given = signature.bind(*args, **kwargs).arguments
        roots, inputs = (given.get(name) for name in (next(iter(signature.parameters)), "inputs"))
        return recorder.gradients.add(
            list(map(recorder.fake, tensors_in(roots))),
            None if inputs is None else list(map(recorder.fake, tensors_in(inputs))),
            bool(given.get("create_graph")),
            lambda: recorder.record(function, args, kwargs),
        )

    return rule


def _gradients(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
    """`torch.autograd.grad`: each gradient is of the type of its input, or None where that is allowed and so."""
    function = torch.autograd.grad
    check_hooks(recorder)
    if not recorder.broken_history:
        return recorder.record(function, args, kwargs)
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    if given.get("is_grads_batched"):
        raise CaptureError("D2S403", "batched gradients through an `if` or a loop", "leave out is_grads_batched")
    inputs = tensors_in(given["inputs"])
    types = [replace(recorder.type_of(t), requires_grad=bool(given.get("create_graph"))) for t in inputs]
    values = tuple(map(recorder.fresh, types))
    recorder.emit_call(function, args, kwargs, values, ORDERED)
    if not given.get("allow_unused") or given.get("materialize_grads"):
        return tuple(map(recorder.stand_in, values))
    reach = recorder.gradients.reach(map(recorder.fake, tensors_in(given["outputs"])))
    presences = [reach.presence(recorder.fake(tensor)) for tensor in inputs]
    return tuple(map(partial(_gradient_if_any, recorder), values, presences))


def _gradient_if_any(recorder: Recorder, value: Value, presence: Presence) -> torch.Tensor | None:
    """A gradient that was asked for, which may be None."""
    if presence is Presence.NONE:
        return None
    gradient: torch.Tensor = recorder.stand_in(value)
    if presence is Presence.SOME:
        return gradient
    return gradient if recorder.decide(recorder.number_call(operator.is_not, (gradient, None), bool)) else None


def _history(function: Any) -> Any:
    """A question about a tensor's history: the program answers it where the recording can't know."""

    def rule(recorder: Recorder, tensor: torch.Tensor) -> Any:
        if recorder.uncertain_gradients:
            return recorder.number_call(function, (tensor,), bool)
        return recorder.record(function, (tensor,), {})

    return rule


def _layout(function: Any, kind: type) -> Any:
    """A question about a tensor's strides: the program answers it where the recording can't know.

    So it is for a tensor of open sizes: the stride of a dimension of size 1 may be anything.
    """

    def rule(recorder: Recorder, tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        is_open = kind is int and None in recorder.type_of(tensor).shape
        if not (recorder.uncertain_layout or is_open):
            return recorder.record(function, (tensor, *args), kwargs)
        if kind is int and not (args or kwargs):
            dimensions = range(len(recorder.type_of(tensor).shape))
            return tuple(recorder.number_call(function, (tensor, dimension), int) for dimension in dimensions)
        return recorder.number_call(function, (tensor, *args), kind, kwargs=kwargs)

    return rule


def _offset(recorder: Recorder, tensor: torch.Tensor) -> Any:
    """`tensor.storage_offset()`, which is guarded for a tensor of known sizes only."""
    function = torch.Tensor.storage_offset
    if None in recorder.type_of(tensor).shape:
        return recorder.number_call(function, (tensor,), int)
    return recorder.record(function, (tensor,), {})


def _to_list(recorder: Recorder, tensor: torch.Tensor) -> Any:
    """`tensor.tolist()`: a number for each element."""
    shape = recorder.type_of(tensor).shape
    kind = _kind(tensor)
    if shape == (None,) and not recorder.lists.is_refused(current_site()):
        return recorder.lists.new_of(OfPython(kind), torch.Tensor.tolist, (tensor,))
    if None in shape:
        reason = "tolist() of a tensor whose size is not known before the run"
        raise CaptureError("D2S104", reason, "iterate over the tensor")
    values = [recorder.fresh(PythonType(kind)) for _ in range(math.prod(shape))]  # type: ignore[arg-type]
    numbers = [recorder.number(kind, value) for value in values]
    recorder.emit_call(torch.Tensor.tolist, (tensor,), {}, _nested(tuple, values, shape))
    return _nested(list, numbers, shape)


def _array(recorder: Recorder, tensor: torch.Tensor, **kwargs: Any) -> Any:
    """`tensor.numpy()`."""
    return recorder.array_call(torch.Tensor.numpy, (tensor,), kwargs, checked=True)


def _nested(kind: type, items: list[Any], shape: tuple[Any, ...]) -> Any:
    """The items in lists of lists, or tuples of tuples, of a shape."""
    if not shape:
        return items[0]
    size = len(items) // shape[0] if shape[0] else 0
    return kind(_nested(kind, items[row * size : (row + 1) * size], shape[1:]) for row in range(shape[0]))


def _kind(tensor: torch.Tensor) -> type:
    """The Python type of a tensor's elements."""
    if tensor.dtype == torch.bool:
        return bool
    if tensor.is_complex():
        raise CaptureError(
            "D2S103", "a complex number is asked for, and not known before the run", "keep it a tensor"
        )
    return float if tensor.is_floating_point() else int


def _refusal(what: str, remedy: str) -> Any:
    def rule(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
        raise CaptureError("D2S101", f"{what} of a tensor is asked for, and not known before the run", remedy)

    return rule


_PREDICATES = (
    *(torch.equal, torch.Tensor.equal, torch.allclose, torch.Tensor.allclose),
    *(torch.is_inference, torch.Tensor.is_inference),
    *(torch.is_nonzero, torch.Tensor.is_nonzero),
)
_MEMORY = ("__array__", "data_ptr", "untyped_storage", "storage", "__reduce_ex__", "__dlpack__")
_ITS_OWN = {
    "whether others see its memory": (torch.Tensor.is_shared, torch.Tensor.is_pinned, torch.Tensor.is_set_to),
    "the version": (torch.Tensor._version.__get__,),
    "the address": (torch.Tensor._cdata.__get__,),
    "the hooks": (torch.Tensor._backward_hooks.__get__, torch.Tensor._post_accumulate_grad_hooks.__get__),
}
_TEXTS = ("__repr__", "__str__", "__format__")
_HOOKS = (torch.Tensor.register_hook, torch.Tensor.register_post_accumulate_grad_hook)
_HISTORY = (torch.Tensor.requires_grad.__get__, torch.Tensor.is_leaf.__get__)

# Function of torch -> rule(recorder, *args, **kwargs), which records a call of it.
RULES: dict[Any, Callable[..., Any]] = {
    torch.Tensor.__getitem__: _get_item,
    torch.Tensor.__setitem__: _set_item,
    torch.Tensor.__bool__: _truth,
    torch.Tensor.tolist: _to_list,
    torch.Tensor.numpy: _array,
    torch.Tensor.is_contiguous: _layout(torch.Tensor.is_contiguous, bool),
    torch.Tensor.stride: _layout(torch.Tensor.stride, int),
    torch.Tensor.storage_offset: _offset,
    **{function: _squeeze(function) for function in (torch.squeeze, torch.Tensor.squeeze, torch.Tensor.squeeze_)},
    torch.Tensor.grad.__get__: _gradient,
    torch.Tensor.grad.__set__: _set_gradient,
    torch.Tensor.grad.__delete__: _set_gradient,
    torch.Tensor.grad_fn.__get__: _node,
    **{function: registering(function) for function in _HOOKS},
    torch.autograd.grad: _gradients,
    **{function: _backward(function) for function in (torch.Tensor.backward, torch.autograd.backward)},
    **{function: _history(function) for function in _HISTORY},
    **{function: _predicate(function) for function in _PREDICATES},
    **{
        getattr(torch.Tensor, name): _refusal("the text", "format it in a function that d2s converts")
        for name in _TEXTS
    },
    **{
        getattr(torch.Tensor, name): _refusal(f"the memory ({name})", "compute with functions of torch")
        for name in _MEMORY
    },
    **{
        function: _refusal(what, "ask for it before the static function")
        for what, functions in _ITS_OWN.items()
        for function in functions
    },
    torch.Tensor.__int__: _refusal("the integer value", "call int() in a function that d2s converts"),
    torch.Tensor.__index__: _refusal("the integer value", "call int() in a function that d2s converts"),
    torch.Tensor.__float__: _refusal("the float value", "call float() in a function that d2s converts"),
}

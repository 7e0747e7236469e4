"""Types, sources and guards as JSON, and back."""

from __future__ import annotations

import re
from typing import Any

import torch

from d2s.runtime.archive.fields import Fields
from d2s.runtime.archive.targets import name_of
from d2s.runtime.archive.trees import Trees, device_named, encode_tree, function_named, shown, thing_of_torch
from d2s.runtime.errors import D2SError, LoadError
from d2s.runtime.ir.program import PythonType, TensorType, ValueType, is_differentiable
from d2s.runtime.ir.sources import Argument, Attribute, Item, Member, Source
from d2s.runtime.recording.checks import (
    Check,
    Differs,
    Guard,
    HasForm,
    IsMissing,
    IsObject,
    IsSame,
    IsTensor,
    IsValue,
)

_MOST_ELEMENTS = 2**62
_MOST_STEPS = 60
_TABLES = {"module": "_modules", "parameter": "_parameters", "buffer": "_buffers", "own": ""}
_STEPS = {table: step for step, table in _TABLES.items()}
_OTHER_CLASSES: dict[str, type] = {
    "NoneType": type(None),
    "object": object,
    "torch.Tensor": torch.Tensor,
    "torch.nn.Parameter": torch.nn.Parameter,
    "torch.dtype": torch.dtype,
    "torch.device": torch.device,
}
_TENSOR = re.compile(r"(\w+)\[((?:\d+|\?)(?:, (?:\d+|\?))*|)\](?: on ([a-z]+(?::\d+)?))?( with gradient)?")


# ------------------------------------------------------------------ types


def encode_type(kind: ValueType) -> str:
    """A type as text, such as `float32[2, ?]`.

    Raises:
        D2SError: it is of an array of numpy's.
    """
    if isinstance(kind, TensorType):
        device = "" if kind.device.type == "cpu" else f" on {kind.device}"
        return f"{kind}{device}{' with gradient' if kind.requires_grad else ''}"
    if isinstance(kind, PythonType):
        return _class_name(kind.python_type) or "object"
    raise D2SError("a program that computes with arrays of numpy can't be saved: use tensors")


def decode_type(text: Any) -> ValueType:
    """The type of such a text."""
    if type(text) is not str:
        raise LoadError(f"{shown(text)} is no type")
    found = _TENSOR.fullmatch(text)
    if found is None:
        return PythonType(_class(text))
    dtype = thing_of_torch("dtype", found[1])
    shape = tuple(None if size == "?" else int(size) for size in found[2].split(", ")) if found[2] else ()
    check_shape(shape)
    return TensorType(dtype, shape, device_named(found[3] or "cpu"), found[4] is not None)


def check_shape(shape: tuple[int | None, ...]) -> None:
    """Go on only if there can be a tensor of this shape.

    Raises:
        LoadError: it is too large.
    """
    elements = 1
    for size in shape:
        elements *= max(size or 1, 1)
    if elements > _MOST_ELEMENTS or len(shape) > 64:
        raise LoadError(f"no tensor can have the shape {shown(str(shape))}")


def _class_name(cls: type) -> str | None:
    for name, known in _OTHER_CLASSES.items():
        if cls is known:
            return name
    return name_of(cls)


def _class(name: Any) -> type:
    found = _OTHER_CLASSES.get(name) if type(name) is str else None
    found = found or function_named(name)
    if not isinstance(found, type):
        raise LoadError(f"{shown(name)} is no class")
    return found


# ------------------------------------------------------------------ sources


def encode_source(source: Source) -> list[Any]:
    """A path as its steps: `["self", {"module": "fc"}, {"parameter": "weight"}]`.

    Raises:
        D2SError: it begins at something that can't be saved.
    """
    match source:
        case Argument(name):
            return [name]
        case Member(base, table, name) if table in _STEPS:
            return [*encode_source(base), {_STEPS[table]: name}]
        case Attribute(base, name):
            return [*encode_source(base), {"attribute": name}]
        case Item(base, key):
            return [*encode_source(base), {"item": encode_tree(key)}]
    raise D2SError(f"{source} can't be saved")


def decode_source(data: Any, parameters: set[str], trees: Trees) -> Source:
    """The path of such steps, which begins at one of the parameters."""
    start = data[0] if type(data) is list and data else None
    if type(start) is not str or start not in parameters:
        raise LoadError(f"{shown(start)} is no place that a program can read")
    if len(data) > _MOST_STEPS:
        raise LoadError(f"a path has more than {_MOST_STEPS} steps")
    source: Source = Argument(start)
    for step in data[1:]:
        if type(step) is not dict or len(step) != 1:
            raise LoadError(f"{shown(step)} is no step of a path")
        ((kind, name),) = step.items()
        if kind == "item":
            source = Item(source, _hashable(trees.tree(name)))
        elif type(name) is not str or (kind != "attribute" and kind not in _TABLES) or not is_state(name):
            raise LoadError(f"{shown(name)} is nothing that a program can read of a module")
        elif kind == "attribute":
            source = Attribute(source, name)
        else:
            source = Member(source, _TABLES[kind], name)
    return source


def is_state(name: str) -> bool:
    """Whether a program may read, and write, an attribute of this name: not what makes a module a module."""
    return name == "training" or not (name.startswith(("__", "d2s_")) or name in _OF_MODULES)


_OF_MODULES = frozenset(dir(torch.nn.Module()))


def _hashable(key: Any) -> Any:
    try:
        hash(key)
    except TypeError:
        raise LoadError(f"{shown(key)} is no key") from None
    return key


# ------------------------------------------------------------------ guards


def encode_guard(guard: Guard) -> dict[str, Any]:
    """A guard as its path and one key that says what must hold there.

    Raises:
        D2SError: it is about an object that can't be saved.
    """
    return {"at": encode_source(guard.source), **_encode_check(guard.source, guard.check)}


def _encode_check(source: Source, check: Check) -> dict[str, Any]:
    match check:
        case IsValue(value):
            return {"equals": encode_tree(value)}
        case IsObject(thing):
            return {"is": encode_tree(thing)}
        case IsTensor(cls, kind, strides, leaf, has_grad, of_leaf):
            known: dict[str, Any] = {"of_leaf": True} if of_leaf else {}
            known |= {"leaf": leaf, "has_grad": has_grad, "strides": None if strides is None else list(strides)}
            return {"tensor": encode_type(kind), "class": _saved_class(source, cls), **known}
        case HasForm(cls, length, keys):
            listed = None if keys is None else [encode_tree(key) for key in keys]
            return {"form": _saved_class(source, cls), "length": length, "keys": listed}
        case IsMissing():
            return {"missing": True}
        case IsSame(other):
            return {"same": encode_source(other)}
        case Differs(others):
            return {"differs": [encode_source(other) for other in others]}
    raise D2SError(f"what {source} holds can't be saved: use tensors, numbers, texts and containers of them")


def _saved_class(source: Source, cls: type) -> str:
    name = _class_name(cls)
    if name is None:
        raise D2SError(
            f"{source} is a {cls.__qualname__}, and a program for that can't be saved: pass tensors or tuples"
        )
    return name


def decode_guard(data: Any, parameters: set[str], trees: Trees) -> Guard:
    """The guard of such JSON."""
    fields = Fields(data, "a guard")
    source = decode_source(fields.get("at", list), parameters, trees)
    if "equals" in fields:
        return Guard(source, IsValue(_hashable(trees.tree(fields.any("equals")))))
    if "is" in fields:
        return Guard(source, IsObject(trees.tree(fields.any("is"))))
    if "missing" in fields:
        if not isinstance(source, Attribute | Member):
            raise LoadError("only an attribute can be missing")
        return Guard(source, IsMissing())
    if "same" in fields:
        return Guard(source, IsSame(decode_source(fields.get("same", list), parameters, trees)))
    if "differs" in fields:
        others = (decode_source(other, parameters, trees) for other in fields.get("differs", list))
        return Guard(source, Differs(tuple(others)))
    if "form" in fields:
        keys = fields.optional("keys", list)
        listed = None if keys is None else tuple(_hashable(trees.tree(key)) for key in keys)
        return Guard(source, HasForm(_class(fields.get("form", str)), fields.optional("length", int), listed))
    return Guard(source, _decode_tensor(fields))


def _decode_tensor(fields: Fields) -> IsTensor:
    kind, cls = decode_type(fields.get("tensor", str)), _class(fields.get("class", str))
    strides = fields.optional("strides", list)
    if not isinstance(kind, TensorType) or not issubclass(cls, torch.Tensor):
        raise LoadError("the guard of a tensor names another type")
    if strides is not None:
        whole = all(type(step) is int and 0 <= step < _MOST_ELEMENTS for step in strides)
        if not whole or len(strides) != len(kind.shape) or None in kind.shape:
            raise LoadError("the strides of a tensor don't fit its shape")
    if kind.requires_grad and not is_differentiable(kind.dtype):
        raise LoadError(f"a tensor of {kind.dtype} has no gradient")
    return IsTensor(
        cls,
        kind,
        None if strides is None else tuple(strides),
        fields.get("leaf", bool),
        fields.optional("has_grad", bool),
        bool(fields.optional("of_leaf", bool)),
    )

"""Trees of values and constants as JSON, and back.

Numbers, texts, truths, None and lists are themselves, a value of a program is "%t8"; everything else is an object
with one key, which says what it is: {"tuple": [...]}, {"dtype": "float32"}, {"function": "torch.relu"}.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from typing import Any

import torch

from d2s.runtime.archive.targets import name_of, named
from d2s.runtime.errors import D2SError, LoadError
from d2s.runtime.ir.program import Value

# As deep a tree may be; the programs of people are far from that.
MOST_NESTED = 60
_PLAIN = (bool, int, type(None))
_SEQUENCES: dict[str, Any] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "deque": deque,
    "torch.Size": torch.Size,
}
_OF_TORCH: dict[str, type] = {
    "dtype": torch.dtype,
    "layout": torch.layout,
    "memory_format": torch.memory_format,
}

# Gives the key of a tensor among the weights; and back.
TensorKey = Callable[[torch.Tensor], str]
TensorOf = Callable[[str], torch.Tensor]


def no_tensor(tensor: torch.Tensor) -> str:
    """A `TensorKey` where there can be no tensors."""
    raise D2SError("a tensor among the constants can't be saved here")


def encode_tree(tree: Any, key: TensorKey = no_tensor) -> Any:
    """A tree as JSON.

    Raises:
        D2SError: something in it can't be saved.
    """
    if isinstance(tree, Value):
        return f"%{tree}"
    if type(tree) in _PLAIN:
        return tree
    if type(tree) is str:
        return {"text": tree} if tree.startswith("%") else tree
    if type(tree) is list:
        return [encode_tree(item, key) for item in tree]
    for name, kind in _SEQUENCES.items():
        if type(tree) is kind:
            return {name: [encode_tree(item, key) for item in tree]}
    if type(tree) in (dict, OrderedDict):
        name = "dict" if type(tree) is dict else "OrderedDict"
        return {name: [[encode_tree(one, key), encode_tree(other, key)] for one, other in tree.items()]}
    return _encode_leaf(tree, key)


def _encode_leaf(leaf: Any, key: TensorKey) -> Any:
    match leaf:
        case float():
            return leaf if math.isfinite(leaf) and type(leaf) is float else {"float": repr(float(leaf))}
        case complex():
            return {"complex": [_encode_leaf(leaf.real, key), _encode_leaf(leaf.imag, key)]}
        case bytes():
            return {"bytes": leaf.hex()}
        case slice():
            return {"slice": [encode_tree(part, key) for part in (leaf.start, leaf.stop, leaf.step)]}
        case range():
            return {"range": [leaf.start, leaf.stop, leaf.step]}
        case torch.device():
            return {"device": str(leaf)}
        case torch.Tensor():
            return {"tensor": key(leaf)}
    if leaf is Ellipsis:
        return {"ellipsis": True}
    for name, kind in _OF_TORCH.items():
        if isinstance(leaf, kind):
            return {name: str(leaf).removeprefix("torch.")}
    known = name_of(leaf)
    if known is None:
        raise D2SError(
            f"{leaf!r} can't be saved: it is no data, and no function of torch or Python that acts on data"
        )
    return {"function": known}


class Trees:
    """Reads trees, of the values and tensors that are known by then."""

    def __init__(self, values: Mapping[str, Value], tensor_of: TensorOf):
        self._values = values
        self._tensor_of = tensor_of

    def tree(self, data: Any, depth: int = 0) -> Any:
        """The tree of some JSON.

        Raises:
            LoadError: it is none.
        """
        if depth > MOST_NESTED:
            raise LoadError(f"something is nested deeper than {MOST_NESTED}")
        if type(data) in _PLAIN or type(data) is float:
            return data
        if type(data) is str:
            return self.value(data) if data.startswith("%") else data
        if type(data) is list:
            return [self.tree(item, depth + 1) for item in data]
        if type(data) is not dict or len(data) != 1:
            raise LoadError(f"{shown(data)} is no constant")
        ((kind, content),) = data.items()
        return self._tagged(kind, content, depth + 1)

    def value(self, data: Any) -> Value:
        """A value of the program."""
        found = self._values.get(data[1:]) if type(data) is str else None
        if found is None:
            raise LoadError(f"{shown(data)} is no value of the program")
        return found

    def _tagged(self, kind: str, content: Any, depth: int) -> Any:
        try:
            if kind in _SEQUENCES and type(content) is list:
                return _SEQUENCES[kind]([self.tree(item, depth) for item in content])
            if kind in ("dict", "OrderedDict") and type(content) is list:
                pairs = [(self.tree(one, depth), self.tree(other, depth)) for one, other in content]
                return dict(pairs) if kind == "dict" else OrderedDict(pairs)
            if kind in ("slice", "range", "complex") and type(content) is list:
                parts = [self.tree(part, depth) for part in content]
                return {"slice": slice, "range": range, "complex": complex}[kind](*parts)
            if type(content) is str:
                return self._named(kind, content)
            if kind == "ellipsis":
                return ...
        except (TypeError, ValueError, RuntimeError, OverflowError) as error:
            raise LoadError(f"{shown({kind: content})} is no constant: {error}") from error
        raise LoadError(f"{shown({kind: content})} is no constant")

    def _named(self, kind: str, name: str) -> Any:
        if kind in _OF_TORCH:
            return thing_of_torch(kind, name)
        match kind:
            case "text":
                return name
            case "bytes":
                return bytes.fromhex(name)
            case "float":
                return float(name)
            case "device":
                return device_named(name)
            case "tensor":
                return self._tensor_of(name)
            case "function":
                return function_named(name)
        raise LoadError(f"{shown(kind)} is no kind of constant")


def thing_of_torch(kind: str, name: str) -> Any:
    """The dtype, layout or memory format of this name.

    Raises:
        LoadError: torch has none such.
    """
    found = getattr(torch, name, None) if name.isidentifier() else None
    if not isinstance(found, _OF_TORCH[kind]):
        raise LoadError(f"{shown(name)} is no {kind} of torch")
    return found


def device_named(name: str) -> torch.device:
    """The device of this name.

    Raises:
        LoadError: there can be none such.
    """
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise LoadError(f"{shown(name)} is no device") from error


def function_named(name: Any) -> Any:
    """The function of this name.

    Raises:
        LoadError: a program may have none such.
    """
    try:
        return named(name)
    except (KeyError, TypeError):
        raise LoadError(f"{shown(name)} is no function that a program may call") from None


def shown(thing: Any) -> str:
    """The text of something in a file, for a message: that is short, whatever the file holds."""
    text = ascii(thing) if isinstance(thing, str | int | float | bool | None) else type(thing).__name__
    return text if len(text) <= 60 else text[:57] + "..."

"""The state of a module, and what its `forward` takes, as JSON and a table of tensors, and back."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from d2s.runtime.archive.fields import Fields
from d2s.runtime.archive.guards import is_state
from d2s.runtime.archive.trees import TensorOf, Trees, encode_tree, shown
from d2s.runtime.errors import D2SError, LoadError
from d2s.runtime.standalone.module import Part, StaticModule

_MOST_NESTED = 40
_KINDS = {kind.name.lower(): kind for kind in type(inspect.Parameter("x", inspect.Parameter.KEYWORD_ONLY).kind)}


class Weights:
    """The tensors of a module, each once, by the first name that it has."""

    def __init__(self) -> None:
        self.tensors: dict[str, torch.Tensor] = {}
        self._keys: dict[int, str] = {}

    def key(self, tensor: torch.Tensor, wanted: str = "constant") -> str:
        """The name of a tensor."""
        if id(tensor) not in self._keys:
            name, number = wanted, 1
            while name in self.tensors:
                number += 1
                name = f"{wanted}.{number}"
            self.tensors[name] = tensor
            self._keys[id(tensor)] = name
        return self._keys[id(tensor)]


# ------------------------------------------------------------------ writing


def encode_module(module: Part, weights: Weights, path: str = "") -> dict[str, Any]:
    """A module's parameters, buffers, attributes and modules.

    Raises:
        D2SError: an attribute holds what can't be saved.
    """
    return _Writer(weights).part(module, path)


class _Writer:
    def __init__(self, weights: Weights):
        self._weights = weights
        self._paths: dict[int, str] = {}

    def part(self, part: Part, path: str) -> dict[str, Any]:
        if id(part) in self._paths:
            return {"same": self._paths[id(part)]}
        self._paths[id(part)] = path
        dot = path and path + "."
        persistent = part._buffers.keys() - part._non_persistent_buffers_set
        return {
            "class": part._get_name(),
            "training": part.training,
            "parameters": {name: self._tensor(one, dot + name) for name, one in part._parameters.items()},
            "buffers": {
                name: {"tensor": self._tensor(one, dot + name), "persistent": name in persistent}
                | ({"constant": True} if not path and name in getattr(part, "d2s_constants", ()) else {})
                for name, one in part._buffers.items()
            },
            "modules": {
                name: None if one is None else self.part(_as_part(one, dot + name), dot + name)
                for name, one in part._modules.items()
            },
            "attributes": {
                name: self._attribute(thing, dot + name)
                for name, thing in vars(part).items()
                if is_state(name) and name != "training"
            },
        }

    def _tensor(self, tensor: torch.Tensor | None, name: str) -> str | None:
        return None if tensor is None else self._weights.key(tensor, name)

    def _attribute(self, thing: Any, path: str) -> Any:
        try:
            return encode_tree(thing, lambda tensor: self._weights.key(tensor, path))
        except D2SError as error:
            raise D2SError(f"{path}: {error}") from error


def _as_part(module: torch.nn.Module, path: str) -> Part:
    if not isinstance(module, Part):
        raise D2SError(f"{path} is a module of its own, which was put there after the programs were captured")
    return module


def encode_signature(signature: inspect.Signature) -> list[dict[str, Any]]:
    """The parameters of a function.

    Raises:
        D2SError: a default can't be saved.
    """
    return [
        {
            "name": one.name,
            "kind": one.kind.name.lower(),
            **({} if one.default is inspect.Parameter.empty else {"default": encode_tree(one.default)}),
        }
        for one in signature.parameters.values()
    ]


# ------------------------------------------------------------------ reading


def decode_signature(data: list[Any], trees: Trees) -> inspect.Signature:
    """The signature of such JSON."""
    parameters = []
    for one in data:
        fields = Fields(one, "a parameter")
        kind = _KINDS.get(fields.get("kind", str))
        default = trees.tree(fields.any("default")) if "default" in fields else inspect.Parameter.empty
        if kind is None:
            raise LoadError(f"{shown(fields.any('kind'))} is no kind of parameter")
        try:
            parameters.append(inspect.Parameter(fields.get("name", str), kind, default=default))
        except ValueError as error:
            raise LoadError(f"a parameter is none: {error}") from error
    try:
        return inspect.Signature(parameters)
    except ValueError as error:
        raise LoadError(f"the parameters are none: {error}") from error


def fill_module(module: StaticModule, data: Any, tensor_of: TensorOf, trees: Trees) -> None:
    """Give a module the state of such JSON."""
    _Reader(tensor_of, trees).fill(module, data, "", 0)


class _Reader:
    def __init__(self, tensor_of: TensorOf, trees: Trees):
        self._tensor_of = tensor_of
        self._trees = trees
        self._parts: dict[str, Part] = {}

    def fill(self, part: Part, data: Any, path: str, depth: int) -> None:
        if depth > _MOST_NESTED:
            raise LoadError(f"modules are nested deeper than {_MOST_NESTED}")
        self._parts[path] = part
        fields, dot = Fields(data, f"the module {path!r}" if path else "the module"), path and path + "."
        part.training = fields.get("training", bool)
        taken: set[str] = set()
        for name, key in self._named(fields, "parameters", taken):
            part.d2s_put("_parameters", name, None if key is None else self._parameter(key))
        for name, entry in self._named(fields, "buffers", taken):
            buffer = Fields(entry, f"the buffer {name!r}")
            key = buffer.optional("tensor", str)
            part.d2s_put("_buffers", name, None if key is None else self._tensor_of(key))
            if not buffer.get("persistent", bool):
                part._non_persistent_buffers_set.add(name)
            if buffer.optional("constant", bool) and isinstance(part, StaticModule):
                part.d2s_constants.add(name)
        for name, inner in self._named(fields, "modules", taken):
            part.d2s_put("_modules", name, None if inner is None else self._part(inner, dot + name, depth + 1))
        for name, thing in self._named(fields, "attributes", taken):
            setattr(part, name, self._trees.tree(thing))

    def _named(self, fields: Fields, table: str, taken: set[str]) -> list[tuple[str, Any]]:
        """The entries of a table, if their names can be those of attributes, and no other table has them."""
        found = fields.get(table, dict)
        for name in found:
            if not is_state(name) or name in ("", "training") or "." in name or name in taken:
                raise LoadError(f"{shown(name)} can't be the name of one of the {table}")
        taken.update(found)
        return list(found.items())

    def _part(self, data: Any, path: str, depth: int) -> Part:
        fields = Fields(data, f"the module {path!r}")
        if "same" in fields:
            other = fields.get("same", str)
            if other not in self._parts:
                raise LoadError(f"{shown(other)} is no module")
            return self._parts[other]
        part = Part(class_name(fields))
        self.fill(part, data, path, depth)
        return part

    def _parameter(self, key: Any) -> torch.nn.Parameter:
        found = self._tensor_of(key)
        if not isinstance(found, torch.nn.Parameter):
            raise LoadError(f"the weight {shown(key)} is no parameter")
        return found


def class_name(fields: Fields) -> str:
    """The name of the class that a part stands for."""
    name = fields.get("class", str)
    if not name.isidentifier():
        raise LoadError(f"{shown(name)} is no name of a class")
    return name

"""The `__init__` of a module: what makes its submodules, parameters, buffers and attributes."""

from __future__ import annotations

import ast
import keyword
from collections.abc import Iterator
from typing import Any

import torch

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.sources import Argument, Attribute, Item, Member, Source
from d2s.runtime.source.layers import Layers
from d2s.runtime.source.trees import Trees, expression
from d2s.runtime.standalone.module import ROOT, Part, StaticModule

# Constants of so many elements are written into the source; larger ones are with the weights.
_MOST_WRITTEN = 16
_LISTS = {"ModuleList": "nn.ModuleList([{}])", "Sequential": "nn.Sequential({})"}
_OF_MODULES = frozenset(vars(torch.nn.Module()))


class Parts:
    """Writes what a module of programs consists of, and the paths to it."""

    def __init__(self, module: StaticModule, layers: Layers):
        self._module = module
        self._layers = layers
        self._trees = Trees(_no_value, self._held)
        # The first path to each parameter, buffer and part: what is in two places is one thing.
        self._paths: dict[int, str] = {}
        self._lists = set(_lists_in(module, ROOT))

    def statements(self) -> Iterator[str]:
        """The statements that make them."""
        self._paths = {id(self._module): ROOT}
        yield from self._contents(self._module, ROOT)

    def place(self, source: Source) -> ast.expr:
        """How a path is written: `self.blocks[0].weight`."""
        return expression(self._place(source))

    def _place(self, source: Source) -> str:
        match source:
            case Argument(name):
                return name
            case Attribute(base, name) | Member(base, _, name):
                return self._inside(self._place(base), name)
            case Item(base, key):
                return f"{self._place(base)}[{self._written(key)}]"
        raise D2SError(f"{source} can't be written as source")

    def _inside(self, place: str, name: str) -> str:
        if _is_name(name):
            return f"{place}.{name}"
        return f"{place}[{name}]" if place in self._lists else f"getattr({place}, {name!r})"

    def _held(self, tensor: torch.Tensor) -> ast.expr:
        """A tensor that an attribute holds: one of the module's, or a small one."""
        if id(tensor) in self._paths:
            return expression(self._paths[id(tensor)])
        if tensor.requires_grad or tensor.numel() > _MOST_WRITTEN:
            raise D2SError("a tensor that an attribute holds, and that is no parameter or buffer, can't be written")
        return expression(_literal(tensor))

    def _written(self, tree: Any) -> str:
        return ast.unparse(self._trees.tree(tree))

    # -------------------------------------------------------------- parts

    def _contents(self, part: Part, path: str) -> Iterator[str]:
        """What puts its parts, tensors and attributes into a module that has none."""
        for name, inner in part._modules.items():
            text, after = ("None", []) if inner is None else self._made(inner, self._inside(path, name))
            yield _put(path, name, text)
            yield from after
        for name, parameter in part._parameters.items():
            yield _put(path, name, self._once(parameter, self._inside(path, name), _parameter))
        for name, buffer in part._buffers.items():
            yield self._buffer(part, path, name, buffer)
        yield from self._attributes(part, path)

    def _attributes(self, part: Part, path: str) -> Iterator[str]:
        for name, thing in vars(part).items():
            if name not in _OF_MODULES and not name.startswith("d2s_"):
                yield _put(path, name, self._written(thing))

    def _made(self, part: Part, place: str) -> tuple[str, list[str]]:
        """What makes a part, and the statements that it takes afterwards."""
        if id(part) in self._paths:
            return self._paths[id(part)], []
        self._paths[id(part)] = place
        layer = self._layers.constructor(part)
        if layer is not None:
            return layer, list(self._after_layer(part, place))
        if part.d2s_kind in _LISTS and _is_list(part):
            inner = [self._made(one, f"{place}[{name}]") for name, one in part._modules.items() if one is not None]
            text = _LISTS[part.d2s_kind].format(", ".join(text for text, _ in inner))
            return text, [line for _, after in inner for line in after]
        after = list(self._contents(part, place))
        return "nn.Module()" if after else "nn.Identity()", after

    def _after_layer(self, part: Part, place: str) -> Iterator[str]:
        """A layer makes its own tensors; they may be another's, or ask for no gradients."""
        for name, tensor in part._parameters.items():
            if tensor is not None:
                path = self._paths.setdefault(id(tensor), f"{place}.{name}")
                if path != f"{place}.{name}":
                    yield f"{place}.{name} = {path}"
                elif not tensor.requires_grad:
                    yield f"{place}.{name}.requires_grad_(False)"
        yield from self._attributes(part, place)

    # -------------------------------------------------------------- tensors

    def _once(self, tensor: torch.Tensor | None, place: str, made: Any) -> str:
        if tensor is None:
            return "None"
        path = self._paths.setdefault(id(tensor), place)
        return made(tensor) if path == place else path

    def _buffer(self, part: Part, path: str, name: str, buffer: torch.Tensor | None) -> str:
        is_lasting = name not in part._non_persistent_buffers_set
        is_written = not is_lasting and buffer is not None and buffer.numel() <= _MOST_WRITTEN
        text = self._once(buffer, self._inside(path, name), _literal if is_written else _zeros)
        return f"{path}.register_buffer({name!r}, {text}{', persistent=False' if is_written else ''})"


def _no_value(value: Any) -> ast.expr:
    raise D2SError(f"{value!r} can't be written as source outside of a program")


def _is_list(part: Part) -> bool:
    names = list(part._modules)
    return names == list(map(str, range(len(names)))) and None not in part._modules.values()


def _lists_in(part: Part, place: str) -> Iterator[str]:
    """The places in a part that hold lists of parts."""
    for name, inner in part._modules.items():
        if isinstance(inner, Part):
            path = f"{place}.{name}" if name.isidentifier() else f"{place}[{name}]"
            if inner.d2s_kind in _LISTS and _is_list(inner):
                yield path
            yield from _lists_in(inner, path)


def _is_name(name: str) -> bool:
    """Whether a name can stand after a dot."""
    return name.isidentifier() and not keyword.iskeyword(name)


def _put(place: str, name: str, text: str) -> str:
    return f"{place}.{name} = {text}" if _is_name(name) else f"setattr({place}, {name!r}, {text})"


def _parameter(tensor: torch.Tensor) -> str:
    others = "" if tensor.requires_grad else ", requires_grad=False"
    return f"nn.Parameter({_zeros(tensor)}{others})"


def _zeros(tensor: torch.Tensor) -> str:
    sizes = ", ".join(map(str, tensor.shape)) or "()"
    dtype = "" if tensor.dtype is torch.float32 else f", dtype={tensor.dtype}"
    return f"torch.zeros({sizes}{dtype})"


def _literal(tensor: torch.Tensor) -> str:
    trees = Trees(_no_value, _no_value)
    return f"torch.tensor({ast.unparse(trees.tree(tensor.tolist()))}, dtype={tensor.dtype})"

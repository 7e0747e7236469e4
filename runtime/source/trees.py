"""Trees of values and constants as Python expressions."""

from __future__ import annotations

import ast
import keyword
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.archive.targets import name_of
from d2s.runtime.errors import D2SError
from d2s.runtime.ir.program import Value

# A constant that is whether the module is in training mode.
TRAINING = object()
_WRITTEN_AS_THEY_ARE = (bool, int, float, str, bytes, type(None), type(...))


def expression(text: str) -> ast.expr:
    """The syntax tree of an expression."""
    return ast.parse(text, mode="eval").body


def dotted(name: str) -> ast.expr:
    """A name, or attributes of one: as code that imports `torch.nn.functional` as `F` writes it."""
    return expression(name.replace("torch.nn.functional.", "F.").replace("torch.nn.", "nn."))


def call_of(function: ast.expr, *args: ast.expr, **kwargs: ast.expr) -> ast.Call:
    """A call; an argument whose name is a word of Python's is passed in a dict."""
    plain = [ast.keyword(name, value) for name, value in kwargs.items() if not keyword.iskeyword(name)]
    others = {name: value for name, value in kwargs.items() if keyword.iskeyword(name)}
    packed = ast.Dict([ast.Constant(name) for name in others], list(others.values()))
    return ast.Call(function, list(args), [*plain, *([ast.keyword(None, packed)] if others else [])])


class Trees:
    """Writes trees; what a value is called or how it is computed `of_value` says."""

    def __init__(self, of_value: Callable[[Value], ast.expr], of_tensor: Callable[[torch.Tensor], ast.expr]):
        self._of_value = of_value
        self._of_tensor = of_tensor

    def tree(self, tree: Any) -> ast.expr:
        """The expression for a tree.

        Raises:
            D2SError: something in it can't be written.
        """
        match tree:
            case Value():
                return self._of_value(tree)
            case torch.Size():
                return call_of(dotted("torch.Size"), self._list(tree))
            case torch.Tensor():
                return self._of_tensor(tree)
            case OrderedDict():
                return call_of(dotted("collections.OrderedDict"), self._list(tree.items()))
        if type(tree) is tuple:
            return ast.Tuple(list(map(self.tree, tree)), ast.Load())
        if type(tree) is list:
            return self._list(tree)
        if type(tree) is dict:
            return ast.Dict(list(map(self.tree, tree)), list(map(self.tree, tree.values())))
        if type(tree) is set and tree:
            return ast.Set(list(map(self.tree, tree)))
        if type(tree) in (set, frozenset, deque):
            name = "collections.deque" if type(tree) is deque else type(tree).__name__
            return call_of(dotted(name), *([self._list(tree)] if tree else []))
        if type(tree) in (slice, range):
            parts = map(self.tree, (tree.start, tree.stop, tree.step))
            return call_of(dotted(type(tree).__name__), *parts)
        return _constant(tree)

    def _list(self, items: Any) -> ast.expr:
        return ast.List(list(map(self.tree, items)), ast.Load())

    def index(self, tree: Any) -> ast.expr:
        """What stands between brackets, where slices are written with colons."""
        if type(tree) is slice:
            bounds = (tree.start, tree.stop, tree.step)
            parts = (None if part is None else without_index(self.tree(part)) for part in bounds)
            return ast.Slice(*parts)
        if type(tree) is tuple and tree:
            return ast.Tuple(list(map(self.index, tree)), ast.Load())
        return without_index(self.tree(tree))


def without_index(node: ast.expr) -> ast.expr:
    """What stands where Python asks for an index of itself."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="operator"), attr="index"), args=[inner], keywords=[]):
            return inner
    return node


def _constant(constant: Any) -> ast.expr:
    if constant is TRAINING:
        return dotted("self.training")
    if type(constant) is complex:
        return call_of(dotted("complex"), _constant(constant.real), _constant(constant.imag))
    if type(constant) is float and not math.isfinite(constant):
        return call_of(dotted("float"), ast.Constant(str(constant)))
    if type(constant) in _WRITTEN_AS_THEY_ARE:
        return expression(repr(constant))
    if isinstance(constant, torch.device):
        return call_of(dotted("torch.device"), ast.Constant(str(constant)))
    if isinstance(constant, torch.dtype | torch.layout | torch.memory_format):
        return dotted(str(constant))
    name = name_of(constant)
    if name is None or name.startswith("d2s."):
        raise D2SError(f"{constant!r} can't be written as source: it is no data, and no function of torch or Python")
    return dotted(name)

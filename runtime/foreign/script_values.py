"""What the values, the nodes and the operators of a graph of TorchScript are, in terms of Python."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator
from typing import Any

import torch

from d2s.runtime.errors import Location
from d2s.runtime.foreign.uses import is_written
from d2s.runtime.ir.program import PythonType, Tree, Value, ValueType, values_in
from d2s.runtime.torch_internals.script import DTYPES_BY_NUMBER, schema_of

_LAYOUTS = (torch.strided, torch.sparse_coo)
_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)
# What gives a list in Python too.
_GIVE_LISTS = (list, sorted, list.copy, torch.Tensor.tolist, operator.add, operator.mul, operator.getitem)
_KINDS = {"int": int, "float": float, "bool": bool, "str": str, "complex": complex}


def value_type(kind: Any) -> ValueType:
    """The type in a program of what is of this type in a graph."""
    return PythonType(python_type(kind))


def python_type(kind: Any) -> type:
    """The class of what is of this type; `object` if it may be of several."""
    text = str(kind)
    if kind.kind() == "TensorType":
        return torch.Tensor
    if kind.kind() == "ListType":
        return list
    if kind.kind() == "DictType":
        return dict
    return _KINDS.get(text, object)


def called_in_source(value: Any) -> str:
    """What the source of the graph called a value; nothing if it had no name."""
    name = re.sub(r"\.\d+$", "", value.debugName())
    return name if name.isidentifier() and not name.startswith("_") else ""


def location_of(node: Any) -> Location | None:
    """The line of the source of the graph that a node is from."""
    found = re.search(r'File "([^"]+)", line (\d+)', node.sourceRange())
    return Location(found.group(1), int(found.group(2))) if found else None


def converted(name: str, tree: Tree) -> Tree:
    """An argument as Python has it: a dtype and the like are numbers in TorchScript."""
    if type(tree) is not int:
        return tree
    match name:
        case "dtype":
            return DTYPES_BY_NUMBER[tree]
        case "layout":
            return _LAYOUTS[tree]
        case "memory_format":
            return _FORMATS[tree]
    return tree


def is_default(argument: Any, tree: Tree) -> bool:
    """Whether an argument is what the schema has for it anyway."""
    return argument.has_default_value() and equal(tree, argument.default_value)


def equal(tree: Tree, default: Any) -> bool:
    """Whether a tree is a constant that is the default; False for all that holds values."""
    if values_in(tree):
        return False
    return tree is default or (type(tree) is type(default) and bool(tree == default))


def folded_test(name: str, trees: list[Tree]) -> tuple[Any] | None:
    """What a test of constants gives, for parameters that are left out."""
    if name in ("__is__", "__isnot__") and len(trees) == 2:
        known = [not isinstance(one, Value) for one in trees]
        if all(known):
            return ((trees[0] is trees[1]) is (name == "__is__"),)
        other = trees[1] if known[1] else trees[0]
        value = trees[0] if known[1] else trees[1]
        if other is None and value.type != PythonType():
            return (name == "__isnot__",)
    if name == "__not__" and isinstance(trees[0], bool):
        return (not trees[0],)
    return None


def needs_list(node: Any, target: Any) -> bool:
    """Whether a function that gives a tuple in Python gives something that is used as only a list can be."""
    outputs = list(node.outputs())
    if len(outputs) != 1 or outputs[0].type().kind() != "ListType" or target in _GIVE_LISTS:
        return False
    if target in (dict.keys, dict.values, dict.items):
        return True
    return not all(_takes_tuple(use.user) for use in outputs[0].uses())


def _takes_tuple(user: Any) -> bool:
    if user.kind() in ("aten::__getitem__", "aten::len", "prim::ListUnpack"):
        return True
    first = next(user.inputs(), None)
    of_tensors = first is not None and first.type().kind() == "TensorType"
    return user.kind().startswith("aten::") and (of_tensors or user.kind() in ("aten::stack", "aten::cat"))


def is_truth(then: Any, orelse: Any) -> bool:
    """Whether an `if` gives nothing but its condition."""
    outputs = [list(block.outputs()) for block in (then, orelse)]
    if any(list(block.nodes()) for block in (then, orelse)) or [len(one) for one in outputs] != [1, 1]:
        return False
    constants = [one[0].toIValue() for one in outputs if one[0].node().kind() == "prim::Constant"]
    return constants == [True, False] and all(isinstance(one, bool) for one in constants)


def changed_kinds(node: Any) -> set[str]:
    """The types of lists that an operator of the graph changes."""
    graph = node.owningBlock()
    while graph.owningNode() is not None:
        graph = graph.owningNode().owningBlock()
    return set(_changes(graph))


def _changes(block: Any) -> Iterator[str]:
    for node in block.nodes():
        schema = schema_of(node) if node.kind().startswith("aten::") else None
        for argument, value in zip(schema.arguments if schema else (), node.inputs(), strict=False):
            if is_written(argument) and value.type().kind() == "ListType":
                yield str(value.type())
        for inner in node.blocks():
            yield from _changes(inner)

"""Straight-line programs as graphs of `torch.fx`, for the tools that work on those."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import torch
from torch import fx

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.names import qualified_name
from d2s.runtime.ir.program import Call, Program, Return, Value, map_tree
from d2s.runtime.ir.sources import Argument, Attribute, Item, Member, Source
from d2s.runtime.standalone.module import ROOT, StaticModule

_METHOD = "torch.Tensor."


def to_fx(module: StaticModule) -> fx.GraphModule:
    """The only program of a module as a graph module with the same parameters and buffers.

    Raises:
        D2SError: there are more programs, or it has control flow, changes state or switches modes of torch.
    """
    if len(module.programs) != 1:
        raise D2SError(f"a graph of torch.fx is one program, and here are {len(module.programs)}")
    program = module.programs[0].program
    end = program.body.terminator
    if not isinstance(end, Return) or not all(isinstance(op, Call) for op in program.body.ops):
        raise D2SError(f"{program.name} has control flow, which torch.fx has none of: edit it with d2s.edit")
    if end.writes:
        raise D2SError(f"{program.name} changes {end.writes[0].source}, which a graph of torch.fx can't")
    return fx.GraphModule(module, _Graph(module.d2s_signature, program).graph, module._get_name())


class _Graph:
    """The graph of a program while it is made."""

    def __init__(self, signature: inspect.Signature, program: Program):
        self.graph = fx.Graph()
        self._nodes: dict[Value, Any] = {}
        self._places: dict[Source, Any] = {}
        for parameter in signature.parameters.values():
            self._places[Argument(parameter.name)] = self._placeholder(parameter)
        for entry in program.inputs:
            self._nodes[entry.value] = self._place(entry.source)
        for op in program.body.ops:
            assert isinstance(op, Call)
            if op.modes != program.modes:
                raise D2SError(f"{program.name} switches modes of torch, which a graph of torch.fx can't")
            self._call(op)
        assert isinstance(program.body.terminator, Return)
        self.graph.output(self._tree(program.body.terminator.value))
        self.graph.lint()

    def _placeholder(self, parameter: inspect.Parameter) -> fx.Node:
        stars: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
        return self.graph.placeholder(stars.get(parameter.kind, "") + parameter.name, default_value=parameter.default)

    def _place(self, source: Source) -> fx.Node:
        """The node of what is at a path."""
        if source not in self._places:
            match source:
                case Item(base, key):
                    node = self.graph.call_function(operator.getitem, (self._place(base), key))
                case Member() | Attribute():
                    node = self.graph.get_attr(str(source).removeprefix(f"{ROOT}."))
                case _:
                    raise D2SError(f"{source} can't be part of a graph of torch.fx")
            self._places[source] = node
        return self._places[source]

    def _tree(self, tree: Any) -> Any:
        return map_tree(lambda leaf: self._nodes[leaf] if isinstance(leaf, Value) else leaf, tree)

    def _call(self, op: Call) -> None:
        args, kwargs = self._tree(op.args), self._tree(op.kwargs)
        name = qualified_name(op.target) or ""
        if name.startswith(_METHOD) and name.endswith(".__get__"):
            node = self.graph.call_function(getattr, (args[0], name.split(".")[2]))
        elif name.startswith(_METHOD) and hasattr(torch.Tensor, name.removeprefix(_METHOD)):
            node = self.graph.call_method(name.removeprefix(_METHOD), args, kwargs)
        else:
            node = self.graph.call_function(op.target, args, kwargs)
        self._take(op.result, node)

    def _take(self, result: Any, node: fx.Node) -> None:
        """Have a node, and the items of it, stand for the values of a result."""
        if isinstance(result, Value):
            self._nodes[result] = node
        elif isinstance(result, tuple | list):
            for index, part in enumerate(result):
                self._take(part, self.graph.call_function(operator.getitem, (node, index)))

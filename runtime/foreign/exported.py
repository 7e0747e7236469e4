"""Reads the graph of an exported program of `torch.export` as a program."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch
import torch.fx
from torch.export.graph_signature import InputKind, OutputKind

from d2s.runtime.archive.targets import name_of
from d2s.runtime.errors import D2SError, Location
from d2s.runtime.foreign.aten import called
from d2s.runtime.foreign.builder import Builder
from d2s.runtime.foreign.uses import Operator, is_written, written_by
from d2s.runtime.ir.program import (
    Effects,
    Program,
    PythonType,
    Role,
    TensorType,
    Tree,
    Value,
    ValueType,
    values_in,
)
from d2s.runtime.ir.sources import Argument, Item, Member, Source
from d2s.runtime.recording.locations import TORCH_FOLDER
from d2s.runtime.source.hints import names_of_values
from d2s.runtime.standalone.module import ROOT, Part
from d2s.runtime.torch_internals.graphs import OpOverload

# What the exporter has asserted of sizes: these programs ask for them where they need them.
_ASSERTIONS = re.compile(r"_assert_scalar|_assert_tensor_metadata|sym_constrain_range|_check")
_STATE = {InputKind.PARAMETER: "_parameters", InputKind.BUFFER: "_buffers"}


def read_exported(builder: Builder, exported: Any, root: Part, names: list[str]) -> Program:
    """The program of an exported program, whose state is in the parts under the root.

    Raises:
        D2SError: something in the graph has no counterpart.
    """
    reading = _Reading(builder, exported, root)
    body = builder.block
    builder.returns(reading.answer(names))
    program = builder.program(body)
    program.names = names_of_values(program)
    return program


def given_by(exported: Any, names: list[str]) -> dict[str, tuple[Source, Role]]:
    """Where each input of the graph that the user gives is found in the arguments of `forward`."""
    given = [one.arg.name for one in exported.graph_signature.input_specs if one.kind is InputKind.USER_INPUT]
    args, kwargs = exported.call_spec.in_spec.unflatten(given)
    found: dict[str, tuple[Source, Role]] = {}
    for name, tree in [*zip(names, args, strict=False), *kwargs.items()]:
        _find(tree, Argument(name), found)
    return found


def _find(tree: Any, source: Source, found: dict[str, tuple[Source, Role]]) -> None:
    if isinstance(tree, str):
        found[tree] = source, Role.ARGUMENT
    elif isinstance(tree, Mapping):
        for key, item in tree.items():
            _find(item, Item(source, key), found)
    elif isinstance(tree, list | tuple):
        for place, item in enumerate(tree):
            _find(item, Item(source, place), found)
    elif tree is not None:
        raise D2SError(f"an argument that holds a {type(tree).__name__} has no counterpart in a program")


class _Reading:
    """Reads one exported program."""

    def __init__(self, builder: Builder, exported: Any, root: Part):
        self._builder = builder
        self._exported = exported
        self._root = root

    def answer(self, names: list[str]) -> Tree:
        """Build all ops; what the program gives."""
        signature = self._exported.graph_signature
        arguments = given_by(self._exported, names)
        inputs = []
        nodes = [node for node in self._exported.graph.nodes if node.op == "placeholder"]
        for node, spec in zip(nodes, signature.input_specs, strict=True):
            inputs.append(self._input(node, spec, arguments))
        outputs = self._graph(self._exported.graph_module, inputs)
        answers = []
        for output, spec in zip(outputs, signature.output_specs, strict=True):
            if spec.kind is OutputKind.USER_OUTPUT:
                answers.append(output)
            else:
                self._write_back(output, spec, arguments)
        return self._exported.call_spec.out_spec.unflatten(answers)

    def _input(self, node: Any, spec: Any, arguments: dict[str, tuple[Source, Role]]) -> Tree:
        if spec.kind is InputKind.USER_INPUT:
            if node.meta.get("val") is None or not isinstance(node.meta["val"], torch.Tensor | torch.SymInt):
                return node.meta.get("val")
            source, role = arguments[spec.arg.name]
            return self._builder.input(source, _type(node.meta["val"]), role)
        if spec.kind in _STATE:
            return self._builder.attribute(*part_at(self._root, spec.target))
        if spec.kind is InputKind.CONSTANT_TENSOR:
            return self._builder.constant(self._exported.constants[spec.target], spec.target)
        raise D2SError(f"an input of an exported program that is a {spec.kind.name.lower()} has no counterpart")

    def _write_back(self, output: Tree, spec: Any, arguments: dict[str, tuple[Source, Role]]) -> None:
        """What a functional program gives for what the model changes in place."""
        if spec.kind is OutputKind.BUFFER_MUTATION:
            target = self._builder.attribute(*part_at(self._root, spec.target))
        elif spec.kind is OutputKind.USER_INPUT_MUTATION:
            source, role = arguments[spec.target]
            target = self._builder.input(source, PythonType(torch.Tensor), role)
        else:
            raise D2SError(f"an output of an exported program that is a {spec.kind.name.lower()} has no counterpart")
        if output != target:  # what was changed in place is there already
            self._builder.call(torch.Tensor.copy_, (target, output), {}, None, Effects(writes=(target,)))

    # -------------------------------------------------------------- graphs

    def _graph(self, module: Any, inputs: Iterable[Tree]) -> list[Tree]:
        """What a graph module gives for these inputs."""
        known: dict[Any, Any] = {}
        given = iter(inputs)
        for node in module.graph.nodes:
            if node.op == "placeholder":
                known[node] = next(given)
            elif node.op == "get_attr":
                thing = operator.attrgetter(node.target)(module)
                known[node] = self._builder.constant(thing) if isinstance(thing, torch.Tensor) else thing
            elif node.op == "call_function":
                self._builder.location = _location(node)
                known[node] = self._call(node, _tree(node.args, known), _tree(node.kwargs, known))
            else:
                answer = _tree(node.args[0], known)
                return list(answer) if isinstance(answer, list | tuple) else [answer]
        raise D2SError("a graph of an exported program has no output")

    def _call(self, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        target = node.target
        if target is torch.ops.higher_order.cond:
            return self._branch(node, *args)
        if target is torch.ops.higher_order.while_loop:
            return self._loop(node, *args)
        if target is operator.getitem and not isinstance(args[0], Value):
            return args[0][args[1]]
        if isinstance(target, OpOverload):
            return self._operator(node, target, args, kwargs)
        if _ASSERTIONS.search(getattr(target, "__name__", "")):
            return None
        target = _ON_SIZES.get(target, target)
        if name_of(target) is None:
            raise D2SError(f"a call of {node.target} has no counterpart in a program")
        return self._builder.call(target, args, kwargs, self._result(node.meta.get("val")))

    def _operator(self, node: Any, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        schema = target._schema
        name = schema.name.partition("::")[2]
        if _ASSERTIONS.search(name):
            return None
        if name == "copy_" and args[0] == args[1]:
            return args[0]  # what was changed in place is there already
        if name == "sym_size":
            return self._builder.call(torch.Tensor.size, args, {}, self._result(node.meta["val"]))
        names = [one.name for one in schema.arguments]
        given = dict(zip(names, args, strict=False)) | kwargs
        defaults = {one.name: one.default_value for one in schema.arguments if one.has_default_value()}
        whole = {one: given.get(one, defaults.get(one)) for one in names}
        use = Operator(
            name,
            whole,
            frozenset(one for one in names if one not in given and one in defaults),
            frozenset(one.name for one in schema.arguments if one.kwarg_only),
            on_tensor=names[:1] in (["self"], ["input"]) and isinstance(args[0] if args else None, Value),
            of_tensors=any(isinstance(value.type, TensorType) for value in values_in((args, kwargs))),
        )
        function, args, kwargs = called(use)
        random = torch.Tag.nondeterministic_seeded in target.tags
        effects = Effects(writes=written_by(schema, whole.values()), random=random)
        if any(map(is_written, schema.returns)):
            self._builder.call(function, args, kwargs, None, effects)
            return effects.writes[0]
        return self._builder.call(function, args, kwargs, self._result(node.meta.get("val")), effects)

    def _result(self, example: Any) -> Tree:
        """New values for what a node gives."""
        if isinstance(example, list | tuple):
            return tuple(self._result(one) for one in example)
        return None if example is None else self._builder.value(_type(example))

    # -------------------------------------------------------------- control flow

    def _branch(self, node: Any, condition: Tree, then: Any, orelse: Any, operands: Any) -> list[Tree]:
        sides = [lambda: self._graph(then, operands), lambda: self._graph(orelse, operands)]
        return self._builder.branch(condition, sides, [_type(one) for one in node.meta["val"]])

    def _loop(self, node: Any, test: Any, body: Any, carried: Any, others: Any) -> list[Value]:
        kinds = [_type(one) for one in node.meta["val"]]
        return self._builder.loop(
            list(carried),
            kinds,
            lambda params: self._graph(test, [*params, *others])[0],
            lambda params: self._graph(body, [*params, *others]),
        )


# Functions on sizes, whose namesakes in Python do the same on numbers.
_ON_SIZES = {
    torch.sym_max: max,
    torch.sym_min: min,
    torch.sym_int: int,
    torch.sym_float: float,
    torch.sym_not: operator.not_,
}


def _tree(tree: Any, known: dict[Any, Any]) -> Any:
    """The arguments of a node, with what is known of other nodes."""
    if isinstance(tree, torch.fx.Node):
        return known[tree]
    if isinstance(tree, list | tuple):
        return (list if isinstance(tree, list) else tuple)(_tree(one, known) for one in tree)
    if isinstance(tree, dict):
        return {key: _tree(one, known) for key, one in tree.items()}
    if isinstance(tree, slice):
        return slice(*(_tree(one, known) for one in (tree.start, tree.stop, tree.step)))
    return tree


def _type(example: Any) -> ValueType:
    if isinstance(example, torch.Tensor):
        shape = tuple(size if isinstance(size, int) else None for size in example.shape)
        return TensorType(example.dtype, shape, example.device)
    kinds = {torch.SymInt: int, torch.SymFloat: float, torch.SymBool: bool}
    return PythonType(kinds.get(type(example), type(example)))


def _location(node: Any) -> Location | None:
    """The line of the model's own code."""
    for file, line in re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or ""):
        if not file.startswith((TORCH_FOLDER, "<", "torch/")):
            return Location(file, int(line))
    return None


def part_at(root: Part, path: str) -> tuple[Source, Part, str]:
    """The part that holds what is at a dotted path, with the path to it, and the name there."""
    *names, last = path.split(".")
    source: Source = Argument(ROOT)
    part = root
    for name in names:
        if name not in part._modules:
            part.d2s_put("_modules", name, Part("Module"))
        source, part = Member(source, "_modules", name), part._modules[name]
    return source, part, last

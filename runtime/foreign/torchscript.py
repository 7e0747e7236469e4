"""Reads the graph of a traced or scripted module of TorchScript as a program."""

from __future__ import annotations

import builtins
import inspect
import operator
import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.archive.targets import name_of
from d2s.runtime.errors import D2SError, Location
from d2s.runtime.foreign.aten import called
from d2s.runtime.foreign.builder import Builder
from d2s.runtime.foreign.devices import device_type
from d2s.runtime.foreign.uses import Operator
from d2s.runtime.ir.program import (
    ORDERED,
    PURE,
    Call,
    Effects,
    Program,
    PythonType,
    Role,
    Tree,
    Value,
    ValueType,
    values_in,
)
from d2s.runtime.ir.sources import Argument, Member, Source
from d2s.runtime.operators.sequences import range_length
from d2s.runtime.operators.shown import join_text
from d2s.runtime.recording.exceptions import remake_exception
from d2s.runtime.standalone.module import ROOT, Part
from d2s.runtime.torch_internals import DTYPES_BY_NUMBER, inlined_call, schema_of, script_method

_ENDLESS = 2**63 - 1
_FUNCTIONAL = "__torch__.torch.nn.functional."
_LAYOUTS = (torch.strided, torch.sparse_coo)
_FORMATS = (torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.channels_last_3d)
_RANDOM = re.compile(r"rand|bernoulli|multinomial|normal|dropout|poisson|uniform|exponential|geometric")
_GIVE_LISTS = (
    list,
    sorted,
    list.copy,
    torch.Tensor.tolist,
    torch.einsum,
    operator.add,
    operator.mul,
    operator.getitem,
)
_DTYPE = PythonType(torch.dtype)
_KINDS = {"int": int, "float": float, "bool": bool, "str": str, "complex": complex}


class _Object:
    """A module of the graph, and the path to it."""

    def __init__(self, script: Any, path: Source, part: Part):
        self.script = script
        self.path = path
        self.part = part


def read_method(builder: Builder, script: Any) -> Program:
    """The program of the `forward` of a scripted or traced module, whose state is that of the builder's module.

    Raises:
        D2SError: something in the graph has no counterpart.
    """
    method = script_method(script, "forward")
    names = [one.name for one in method.schema.arguments][1:]
    inputs = list(method.graph.inputs())[1:]
    arguments = [
        builder.input(Argument(name), _type(one.type()), Role.ARGUMENT)
        for name, one in zip(names, inputs, strict=True)
    ]
    body = builder.block
    this = _Object(script, Argument(ROOT), builder.module)
    answer = _Frame(builder).run(method.graph, [this, *arguments])[0]
    builder.returns(answer)
    return builder.program(body)


class _Frame:
    """One run of a graph; `known` is what its values are: trees, or modules."""

    def __init__(self, builder: Builder):
        self._builder = builder
        self._known: dict[str, Any] = {}

    def run(self, graph: Any, arguments: list[Any]) -> list[Tree]:
        """What the graph gives for these arguments."""
        self._define(graph.inputs(), arguments)
        return self._block(graph)

    def _define(self, values: Any, trees: list[Any]) -> None:
        for value, tree in zip(values, trees, strict=True):
            self._known[value.debugName()] = tree
            if isinstance(tree, Value):
                self._builder.names.setdefault(tree, _name_of(value))

    def _block(self, block: Any) -> list[Tree]:
        for node in block.nodes():
            self._builder.location = _location(node)
            self._node(node)
            if self._builder.dead:
                return [None for _ in block.outputs()]
        return [self._known[one.debugName()] for one in block.outputs()]

    def _node(self, node: Any) -> None:
        read = _NODES.get(node.kind())
        if read is None and not node.kind().startswith("aten::"):
            raise D2SError(f"{node.kind()} of TorchScript has no counterpart in a program")
        trees = [self._known[one.debugName()] for one in node.inputs()] if node.kind() != "prim::Constant" else []
        outputs = list(node.outputs())
        answer = read(self, node, trees) if read is not None else self._operator(node, trees)
        self._define(outputs, answer if len(outputs) != 1 else [answer])

    # -------------------------------------------------------------- operators

    def _operator(self, node: Any, trees: list[Tree]) -> Any:
        name = node.kind().partition("::")[2]
        if any(isinstance(tree, Value) and tree.type == _DTYPE for tree in trees):
            trees = [DTYPES_BY_NUMBER[tree] if type(tree) is int else tree for tree in trees]
        folded = _folded(name, trees)
        if folded is not None:
            return folded[0]
        types = [str(one.type()) for one in node.inputs()]
        schema = schema_of(node)
        arguments = schema.arguments
        given = {one.name: _converted(one.name, tree) for one, tree in zip(arguments, trees, strict=True)}
        left_out = {one.name for one, tree in zip(arguments, trees, strict=True) if _is_default(one, tree)}
        use = Operator(
            name,
            given,
            frozenset(left_out),
            frozenset(one.name for one in arguments if one.kwarg_only),
            on_tensor=types[:1] == ["Tensor"] and arguments[0].name in ("self", "input"),
            of_tensors=any(kind.startswith("Tensor") for kind in types)
            or any("Tensor" in kind for kind in types[:1]),
            types=[_python_type(one.type()) for one in node.inputs()],
        )
        target, args, kwargs = called(use)
        writes = [
            tree for one, tree in zip(arguments, trees, strict=True) if one.alias_info and one.alias_info.is_write
        ]
        effects = Effects(writes=tuple(values_in(writes)), random=bool(_RANDOM.search(name)))
        gives_written = any(one.alias_info and one.alias_info.is_write for one in schema.returns)
        if gives_written:
            self._builder.call(target, args, kwargs, None, effects)
            return effects.writes[0]
        answer = self._call(node, target, args, kwargs, effects)
        if schema.returns and _needs_list(node, target):
            return self._builder.call(list, (answer,), {}, self._result(node.output()))
        return answer

    def _call(self, node: Any, target: Any, args: Any, kwargs: Any, effects: Effects = PURE) -> Any:
        outputs = list(node.outputs())
        results = [self._result(one) for one in outputs]
        whole = results[0] if len(results) == 1 else tuple(results) or None
        self._builder.call(target, args, kwargs, whole, effects)
        return results if len(results) != 1 else results[0]

    def _result(self, value: Any) -> Tree:
        """A new value; a tuple of such for a tuple."""
        kind = value.type()
        if kind.kind() == "TupleType":
            return tuple(self._builder.value(_type(one)) for one in kind.elements())
        return self._builder.value(_type(kind), _name_of(value))

    # -------------------------------------------------------------- nodes

    def constant(self, node: Any, trees: list[Tree]) -> Any:
        output = node.output()
        if output.type().kind() == "FunctionType":
            return str(output.type())
        thing = output.toIValue()
        return self._builder.constant(thing) if isinstance(thing, torch.Tensor) else thing

    def get_attribute(self, node: Any, trees: list[Any]) -> Any:
        owner, name = trees[0], node.s("name")
        inner = owner.part._modules.get(name)
        if inner is not None:
            return _Object(getattr(owner.script, name), Member(owner.path, "_modules", name), inner)
        own = vars(owner.part)
        if name not in {**own, **own["_parameters"], **own["_buffers"]}:
            _take(owner, name)
        return self._builder.attribute(owner.path, owner.part, name)

    def set_attribute(self, node: Any, trees: list[Any]) -> list[Tree]:
        owner, tree = trees
        self._builder.written[self._builder.place(owner.path, owner.part, node.s("name"))] = tree
        return []

    def call_method(self, node: Any, trees: list[Any]) -> Any:
        owner, *arguments = trees
        name = node.s("name")
        kind = owner.script._c.qualified_name
        if kind.startswith("__torch__.torch.nn.modules.") and name == "_check_input_dim":
            return None  # torch checks it again
        graph = script_method(owner.script, name).graph
        answers = _Frame(self._builder).run(graph, [owner, *arguments])
        return answers[0] if len(answers) == 1 else answers

    def call_function(self, node: Any, trees: list[Any]) -> Any:
        function, *arguments = trees
        name = function.rpartition(".")[2]
        public = getattr(F, name, None) if function == _FUNCTIONAL + name else None
        if public is not None and name_of(public) is not None:
            return self._public_call(node, public, arguments)
        answers = _Frame(self._builder).run(inlined_call(node), arguments)
        return answers[0] if len(answers) == 1 else answers

    def _public_call(self, node: Any, function: Any, arguments: list[Tree]) -> Any:
        """A call of a function of `torch.nn.functional`, with what it takes beside tensors by name."""
        parameters = list(inspect.signature(function).parameters.values())
        args: list[Tree] = []
        kwargs: dict[str, Tree] = {}
        for parameter, tree in zip(parameters, arguments, strict=False):
            if parameter.default is parameter.empty and not kwargs:
                args.append(tree)
            elif not _equal(tree, parameter.default) or parameter.name == "training":
                kwargs[parameter.name] = _converted(parameter.name, tree)
        random = bool(_RANDOM.search(function.__name__))
        return self._call(node, function, tuple(args), kwargs, Effects(random=random))

    def branch(self, node: Any, trees: list[Tree]) -> Any:
        then, orelse = node.blocks()
        outputs = list(node.outputs())
        sides: list[Callable[[], list[Tree]]] = [lambda: self._block(then), lambda: self._block(orelse)]
        if isinstance(trees[0], Value) and _is_truth(then, orelse):
            return trees[0]
        answers = self._builder.branch(trees[0], sides, [_type(one.type()) for one in outputs])
        return answers[0] if len(answers) == 1 else answers

    def loop(self, node: Any, trees: list[Tree]) -> Any:
        most, go_on, *inits = trees
        (block,) = node.blocks()
        counter, *carried = block.inputs()
        builder = self._builder
        kinds = [_type(one.type()) for one in carried]
        counts = not (isinstance(most, int) and most == _ENDLESS) or bool(counter.uses())
        length = self._length(most) if counts else most
        decides = go_on is not True or next(iter(block.outputs())).node().kind() != "prim::Constant"
        starts = [*([0] if counts else []), *([go_on] if decides else []), *inits]
        of_flags = [*([PythonType(int)] if counts else []), *([PythonType(bool)] if decides else [])]

        def split(params: list[Any]) -> tuple[Any, Any, list[Any]]:
            rest = list(params)
            count = rest.pop(0) if counts else None
            flag = rest.pop(0) if decides else True
            return count, flag, rest

        def test(params: list[Value]) -> Tree:
            count, flag, _ = split(params)
            if not counts or (isinstance(most, int) and most == _ENDLESS):
                return flag
            less = builder.call(operator.lt, (count, length), {}, builder.value(PythonType(bool)))
            return (
                less
                if not decides
                else builder.branch(less, [lambda: [flag], lambda: [False]], [PythonType(bool)])[0]
            )

        def body(params: list[Value]) -> list[Tree]:
            count, _, rest = split(params)
            self._define(block.inputs(), [count, *rest])
            flag, *following = self._block(block)
            ahead = [builder.call(operator.add, (count, 1), {}, builder.value(PythonType(int)))] if counts else []
            return [*ahead, *([flag] if decides else []), *following]

        after = split(builder.loop(starts, [*of_flags, *kinds], test, body))[2]
        for value, one in zip(after, node.outputs(), strict=True):
            builder.names.setdefault(value, _name_of(one))
        return after[0] if len(after) == 1 else after

    def _length(self, most: Tree) -> Tree:
        """The number of trips of a loop over so many."""
        last = self._builder.block.ops[-1] if self._builder.block.ops else None
        if isinstance(last, Call) and last.target is range_length and most == last.result:
            return most
        return self._builder.call(range_length, (0, most, 1), {}, self._builder.value(PythonType(int)))

    def derived_index(self, node: Any, trees: list[Tree]) -> Any:
        place, start, step = trees
        if (start, step) == (0, 1):
            return place
        integer = PythonType(int)
        scaled = (
            place if step == 1 else self._builder.call(operator.mul, (place, step), {}, self._builder.value(integer))
        )
        return self._call(node, operator.add, (start, scaled), {})

    def made_list(self, node: Any, trees: list[Tree]) -> Tree:
        """A list: one of the run if any list of such items is changed, for this may be that."""
        kind = str(node.output().type())
        if kind not in _changed_kinds(node):
            return list(trees)
        return self._builder.call(list, (list(trees),), {}, self._result(node.output()))

    def made_tuple(self, node: Any, trees: list[Tree]) -> Tree:
        return tuple(trees)

    def made_dict(self, node: Any, trees: list[Tree]) -> Tree:
        pairs = list(zip(trees[::2], trees[1::2], strict=True))
        return self._builder.call(dict, (pairs,), {}, self._result(node.output()))

    def unpacked(self, node: Any, trees: list[Tree]) -> Any:
        (items,) = trees
        outputs = list(node.outputs())
        if isinstance(items, Value):
            results = tuple(self._result(one) for one in outputs)
            items = self._builder.call(tuple, (items,), {}, results)
        return items[0] if len(outputs) == 1 else list(items)

    def item(self, node: Any, trees: list[Tree]) -> Any:
        items, place = trees
        if isinstance(items, tuple) and isinstance(place, int):
            return items[place]
        return self._call(node, operator.getitem, (items, place), {})

    def attribute_of_tensor(self, node: Any, trees: list[Tree]) -> Any:
        name = node.kind().partition("::")[2]
        result = self._builder.value(_DTYPE) if name == "dtype" else self._result(node.output())
        return self._builder.call(getattr(torch.Tensor, name).__get__, tuple(trees), {}, result)

    def device_type(self, node: Any, trees: list[Tree]) -> Any:
        return self._call(node, device_type, tuple(trees), {})

    def is_instance(self, node: Any, trees: list[Tree]) -> Any:
        """A test that the types of the graph decide already."""
        (value,) = node.inputs()
        kinds = node.tys("types")
        if any(value.type().isSubtypeOf(kind) for kind in kinds):
            return True
        if value.type().kind() in ("OptionalType", "UnionType", "AnyType"):
            raise D2SError(f"isinstance of what is {value.type()} has no counterpart in a program")
        return False

    def built_in(self, node: Any, trees: list[Tree]) -> Any:
        return self._call(node, getattr(builtins, node.kind().partition("::")[2]), tuple(trees), {})

    def itself(self, node: Any, trees: list[Tree]) -> Any:
        return trees[0]

    def nothing(self, node: Any, trees: list[Tree]) -> Any:
        return None

    def raises(self, node: Any, trees: list[Tree]) -> list[Tree]:
        message = trees[0]
        known = trees[1] if len(trees) > 1 and isinstance(trees[1], str) else ""
        kind = getattr(builtins, known.rpartition(".")[2], None)
        if not (isinstance(kind, type) and issubclass(kind, Exception)):
            kind = RuntimeError
        error = self._builder.value(PythonType(kind))
        self._builder.call(remake_exception, (kind, (message,), {}), {}, error)
        self._builder.raises(error)
        return []

    def printed(self, node: Any, trees: list[Tree]) -> list[Tree]:
        self._builder.call(print, tuple(trees), {}, None, ORDERED)
        return []

    def formatted(self, node: Any, trees: list[Tree]) -> Any:
        pattern, *things = trees
        if not isinstance(pattern, str):
            raise D2SError("a text that is formatted by a text of the run has no counterpart in a program")
        parts: list[Tree] = []
        for place, text in enumerate(pattern.split("{}")):
            parts += [things[place - 1]] if place else []
            parts += [text] if text else []
        texts = [one if isinstance(one, str) else self._text(one) for one in parts]
        return self._call(node, join_text, tuple(texts), {})

    def _text(self, thing: Tree) -> Tree:
        return self._builder.call(format, (thing, ""), {}, self._builder.value(PythonType(str)))

    def warned(self, node: Any, trees: list[Tree]) -> list[Tree]:
        self._builder.call(warnings.warn, (trees[0],), {}, None, ORDERED)
        return []


_NODES: dict[str, Callable[[_Frame, Any, list[Any]], Any]] = {
    "prim::Constant": _Frame.constant,
    "prim::GetAttr": _Frame.get_attribute,
    "prim::SetAttr": _Frame.set_attribute,
    "prim::CallMethod": _Frame.call_method,
    "prim::CallFunction": _Frame.call_function,
    "prim::If": _Frame.branch,
    "prim::Loop": _Frame.loop,
    "prim::ListConstruct": _Frame.made_list,
    "prim::TupleConstruct": _Frame.made_tuple,
    "prim::DictConstruct": _Frame.made_dict,
    "prim::ListUnpack": _Frame.unpacked,
    "prim::TupleUnpack": _Frame.unpacked,
    "prim::TupleIndex": _Frame.item,
    "prim::unchecked_cast": _Frame.itself,
    "prim::unchecked_unwrap_optional": _Frame.itself,
    "prim::Uninitialized": _Frame.nothing,
    "prim::RaiseException": _Frame.raises,
    "aten::__derive_index": _Frame.derived_index,
    "prim::isinstance": _Frame.is_instance,
    "prim::type": _Frame.device_type,
    "prim::Print": _Frame.printed,
    "aten::format": _Frame.formatted,
    "aten::warn": _Frame.warned,
    **dict.fromkeys(("prim::dtype", "prim::device", "prim::data", "prim::is_cuda"), _Frame.attribute_of_tensor),
    **dict.fromkeys(("prim::min", "prim::max", "prim::abs"), _Frame.built_in),
    "prim::NumToTensor": lambda frame, node, trees: frame._call(node, torch.tensor, tuple(trees), {}),
}


# ------------------------------------------------------------------ values


def _take(owner: _Object, name: str) -> None:
    """Have the part have an attribute of its module; one that is None is a parameter that the module does without."""
    thing = getattr(owner.script, name)
    if thing is None:
        owner.part.d2s_put("_parameters", name, None)
    else:
        setattr(owner.part, name, thing)


def _type(kind: Any) -> ValueType:
    return PythonType(_python_type(kind))


def _python_type(kind: Any) -> type:
    text = str(kind)
    if kind.kind() == "TensorType":
        return torch.Tensor
    if kind.kind() == "ListType":
        return list
    if kind.kind() == "DictType":
        return dict
    return _KINDS.get(text, object)


def _name_of(value: Any) -> str:
    """What the source of the graph called a value; nothing if it had no name."""
    name = re.sub(r"\.\d+$", "", value.debugName())
    return name if name.isidentifier() and not name.startswith("_") else ""


def _location(node: Any) -> Location | None:
    found = re.search(r'File "([^"]+)", line (\d+)', node.sourceRange())
    return Location(found.group(1), int(found.group(2))) if found else None


def _converted(name: str, tree: Tree) -> Tree:
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


def _is_written(argument: Any) -> bool:
    """Whether an operator changes this argument, or gives back what it changed."""
    return argument.alias_info is not None and argument.alias_info.is_write


def _is_default(argument: Any, tree: Tree) -> bool:
    return argument.has_default_value() and _equal(tree, argument.default_value)


def _equal(tree: Tree, default: Any) -> bool:
    """Whether a tree is a constant that is the default; False for all that holds values."""
    if values_in(tree):
        return False
    return tree is default or (type(tree) is type(default) and bool(tree == default))


def _folded(name: str, trees: list[Tree]) -> tuple[Any] | None:
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


def _needs_list(node: Any, target: Any) -> bool:
    """Whether a function that gives a tuple in Python gives something that is used as only a list can be."""
    outputs = list(node.outputs())
    if len(outputs) != 1 or outputs[0].type().kind() != "ListType" or target in _GIVE_LISTS:
        return False
    return not all(_takes_tuple(use.user) for use in outputs[0].uses())


def _takes_tuple(user: Any) -> bool:
    if user.kind() in ("aten::__getitem__", "aten::len", "prim::ListUnpack"):
        return True
    first = next(user.inputs(), None)
    of_tensors = first is not None and first.type().kind() == "TensorType"
    return user.kind().startswith("aten::") and (of_tensors or user.kind() in ("aten::stack", "aten::cat"))


def _is_truth(then: Any, orelse: Any) -> bool:
    """Whether an `if` gives nothing but its condition."""
    outputs = [list(block.outputs()) for block in (then, orelse)]
    if any(list(block.nodes()) for block in (then, orelse)) or [len(one) for one in outputs] != [1, 1]:
        return False
    constants = [one[0].toIValue() for one in outputs if one[0].node().kind() == "prim::Constant"]
    return constants == [True, False] and all(isinstance(one, bool) for one in constants)


def _changed_kinds(node: Any) -> set[str]:
    """The types of lists that an operator of the graph changes."""
    graph = node.owningBlock()
    while graph.owningNode() is not None:
        graph = graph.owningNode().owningBlock()
    return set(_changes(graph))


def _changes(block: Any) -> Iterator[str]:
    for node in block.nodes():
        schema = schema_of(node) if node.kind().startswith("aten::") else None
        for argument, value in zip(schema.arguments if schema else (), node.inputs(), strict=False):
            if _is_written(argument) and value.type().kind() == "ListType":
                yield str(value.type())
        for inner in node.blocks():
            yield from _changes(inner)

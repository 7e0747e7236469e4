"""Reads the graph of a traced or scripted module of TorchScript as a program."""

from __future__ import annotations

import builtins
import inspect
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from d2s.runtime.archive.targets import name_of
from d2s.runtime.errors import D2SError
from d2s.runtime.foreign.aten import called
from d2s.runtime.foreign.builder import Builder
from d2s.runtime.foreign.devices import device_type
from d2s.runtime.foreign.script_values import (
    called_in_source,
    changed_kinds,
    converted,
    equal,
    folded_test,
    is_default,
    is_truth,
    location_of,
    needs_list,
    python_type,
    value_type,
)
from d2s.runtime.foreign.uses import Operator, is_written, written_by
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
)
from d2s.runtime.ir.sources import Argument, Member, Source
from d2s.runtime.operators.sequences import range_length
from d2s.runtime.operators.shown import join_text
from d2s.runtime.recording.exceptions import remake_exception
from d2s.runtime.standalone.module import ROOT, Part
from d2s.runtime.torch_internals.script import DTYPES_BY_NUMBER, inlined_call, schema_of, script_method

_ENDLESS = 2**63 - 1
_FUNCTIONAL = "__torch__.torch.nn.functional."
_RANDOM = re.compile(r"rand|bernoulli|multinomial|normal|dropout|poisson|uniform|exponential|geometric")
_DTYPE = PythonType(torch.dtype)
_COMPARES = ("eq", "ne", "__is__", "__isnot__")


class _Object:
    """A module of the graph, and the path to it."""

    def __init__(self, script: Any, path: Source, part: Part):
        self.script = script
        self.path = path
        self.part = part


def read_script(builder: Builder, script: Any) -> Program:
    """The program of a scripted or traced module's `forward`, or of such a function.

    The state is that of the builder's module.

    Raises:
        D2SError: something in the graph has no counterpart.
    """
    is_module = isinstance(script, torch.jit.ScriptModule)
    entry = script_method(script, "forward") if is_module else script
    this = [_Object(script, Argument(ROOT), builder.module)] if is_module else []
    names = [one.name for one in entry.schema.arguments][len(this) :]
    inputs = list(entry.graph.inputs())[len(this) :]
    arguments = [
        builder.input(Argument(name), value_type(one.type()), Role.ARGUMENT)
        for name, one in zip(names, inputs, strict=True)
    ]
    body = builder.block
    answer = _Frame(builder).run(entry.graph, [*this, *arguments])[0]
    builder.returns(answer)
    return builder.program(body)


def _take(owner: _Object, name: str) -> None:
    """Have the part have an attribute of its module; one that is None is a parameter that the module does without."""
    thing = getattr(owner.script, name)
    if thing is None:
        owner.part.d2s_put("_parameters", name, None)
    else:
        setattr(owner.part, name, thing)


def _is_of_tensors(types: list[str]) -> bool:
    """Whether an operator on arguments of these types is torch's, and not one of Python's on its own objects."""
    if types[:1] and types[0].startswith("Dict"):
        return False
    return any(kind.startswith("Tensor") for kind in types) or "Tensor" in "".join(types[:1])


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
                self._builder.names.setdefault(tree, called_in_source(value))

    def _block(self, block: Any) -> list[Tree]:
        for node in block.nodes():
            self._builder.location = location_of(node)
            self._node(node)
            if self._builder.dead:
                return [None for _ in block.outputs()]
        return [self._known[one.debugName()] for one in block.outputs()]

    def _node(self, node: Any) -> None:
        place, _, name = node.kind().partition("::")
        read = _NODES.get(node.kind())
        if read is None and place == "prim" and name_of(getattr(getattr(torch.Tensor, name, None), "__get__", None)):
            read = _Frame.attribute_of_tensor
        if read is None and place != "aten":
            raise D2SError(f"{node.kind()} of TorchScript has no counterpart in a program")
        trees = [self._known[one.debugName()] for one in node.inputs()] if node.kind() != "prim::Constant" else []
        outputs = list(node.outputs())
        answer = read(self, node, trees) if read is not None else self._operator(node, trees)
        self._define(outputs, answer if len(outputs) != 1 else [answer])

    # -------------------------------------------------------------- operators

    def _operator(self, node: Any, trees: list[Tree]) -> Any:
        name = node.kind().partition("::")[2]
        if name in _COMPARES and any(isinstance(tree, Value) and tree.type == _DTYPE for tree in trees):
            trees = [DTYPES_BY_NUMBER[tree] if type(tree) is int else tree for tree in trees]
        folded = folded_test(name, trees)
        if folded is not None:
            return folded[0]
        types = [str(one.type()) for one in node.inputs()]
        schema = schema_of(node)
        arguments = schema.arguments
        given = {one.name: converted(one.name, tree) for one, tree in zip(arguments, trees, strict=True)}
        left_out = {one.name for one, tree in zip(arguments, trees, strict=True) if is_default(one, tree)}
        use = Operator(
            name,
            given,
            frozenset(left_out),
            frozenset(one.name for one in arguments if one.kwarg_only),
            on_tensor=types[:1] == ["Tensor"] and arguments[0].name in ("self", "input"),
            of_tensors=_is_of_tensors(types),
            types=[python_type(one.type()) for one in node.inputs()],
        )
        target, args, kwargs = called(use)
        effects = Effects(writes=written_by(schema, trees), random=bool(_RANDOM.search(name)))
        if any(map(is_written, schema.returns)):
            self._builder.call(target, args, kwargs, None, effects)
            return effects.writes[0]
        answer = self._call(node, target, args, kwargs, effects)
        if schema.returns and needs_list(node, target):
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
            return tuple(self._builder.value(value_type(one)) for one in kind.elements())
        return self._builder.value(value_type(kind), called_in_source(value))

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
            elif not equal(tree, parameter.default) or parameter.name == "training":
                kwargs[parameter.name] = converted(parameter.name, tree)
        random = bool(_RANDOM.search(function.__name__))
        return self._call(node, function, tuple(args), kwargs, Effects(random=random))

    def branch(self, node: Any, trees: list[Tree]) -> Any:
        then, orelse = node.blocks()
        outputs = list(node.outputs())
        sides: list[Callable[[], list[Tree]]] = [lambda: self._block(then), lambda: self._block(orelse)]
        if isinstance(trees[0], Value) and is_truth(then, orelse):
            return trees[0]
        answers = self._builder.branch(trees[0], sides, [value_type(one.type()) for one in outputs])
        return answers[0] if len(answers) == 1 else answers

    def loop(self, node: Any, trees: list[Tree]) -> Any:
        most, go_on, *inits = trees
        (block,) = node.blocks()
        counter, *carried = block.inputs()
        builder = self._builder
        kinds = [value_type(one.type()) for one in carried]
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
            builder.names.setdefault(value, called_in_source(one))
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
        if kind not in changed_kinds(node):
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
    **dict.fromkeys(("prim::min", "prim::max", "prim::abs"), _Frame.built_in),
    "prim::NumToTensor": lambda frame, node, trees: frame._call(node, torch.tensor, tuple(trees), {}),
}

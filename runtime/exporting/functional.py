"""A program as an ordinary module of tensors that a tracer can go through: what all ways out of Python start from."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import torch

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import Call, leaves_of, map_tree, walk_ops
from d2s.runtime.ir.sources import Source, read
from d2s.runtime.lowering.builder import DTYPES, number_tensor
from d2s.runtime.lowering.ends import End, Slot, made_of
from d2s.runtime.lowering.graph import graph_of, shapes_of
from d2s.runtime.lowering.pipeline import Lowered, lowered
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.pipeline import optimised
from d2s.runtime.recording.attempts import attempt
from d2s.runtime.standalone.examples import example_arguments
from d2s.runtime.standalone.module import ROOT, StaticModule

# Fails unless a tensor of one bool is true, for a reason; what it changes in the list of values is used after it.
Require = Callable[[torch.Tensor, list[Any], str], None]
_UNLIKE = LoweringError("results that differ in structure, size or dtype, as a branch decides, can't be exported")


def assert_async(holds: torch.Tensor, values: list[Any], reason: str) -> None:
    """Fail by an operator that torch has for that."""
    torch._assert_async(holds, reason)


class FunctionalModule(torch.nn.Module):
    """The only program of a module as a graph without Python in it, with the same parameters and arguments.

    Numbers among the results are tensors of no dimension. `examples` are arguments that it takes, by name.
    """

    def __init__(self, module: StaticModule, require: Require = assert_async):
        """Take over the parameters and buffers of a module; `require` makes it fail where the program raises.

        Raises:
            D2SError: it has more programs.
            LoweringError: its program can't be lowered, or does what only Python can.
        """
        super().__init__()
        self._require = require
        if len(module.programs) != 1:
            raise D2SError(f"what is exported is one program, and here are {len(module.programs)}")
        executable = module.programs[0]
        for table in ("_parameters", "_buffers", "_modules"):
            self.__dict__[table] = dict(module.__dict__[table])
        self._lowered = lowered(optimised(executable.program), values_only=True)
        self._ends = _returning(self._lowered)
        self._refuse_attempts()
        self._sources = [entry.source for entry in executable.program.inputs]
        self.shapes = shapes_of(self._lowered.program)
        self.signature = module.d2s_signature
        self.examples = example_arguments(executable.guards, tuple(self.signature.parameters))
        # Not the module: its constants would be state of this one.
        self._compute = graph_of(self._lowered.program, self.inputs_for(self.examples)).module.forward
        self.forward = self._with_signature()

    def calls(self) -> list[Call]:
        """The calls of the program."""
        return [op for op in walk_ops(self._lowered.program.body) if isinstance(op, Call)]

    def _refuse_attempts(self) -> None:
        for call in self.calls():
            if call.target is attempt:
                name = display_name(call.args[1])
                raise LoweringError(f"{name}, whose failure is caught, can't be exported", call.location)

    @property
    def written(self) -> list[Source]:
        """The arguments and buffers that a call writes."""
        return [self._sources[place] for place in self._lowered.written]

    @property
    def output_names(self) -> list[str]:
        """Names for the tensors in the result, by where they are in it."""
        return list(_names(next(iter(self._ends.values())).tree, "output"))

    def inputs_for(self, arguments: dict[str, Any]) -> list[torch.Tensor]:
        """The inputs of the program for arguments by name."""
        return self._lowered.tensors([read(source, {ROOT: self, **arguments}) for source in self._sources])

    def _with_signature(self) -> Callable[..., Any]:
        """The method `forward`, with the names of the user's arguments."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            return self._run(self.signature.bind(*args, **kwargs))

        forward.__signature__ = self.signature  # type: ignore[attr-defined]
        return forward

    def _run(self, bound: inspect.BoundArguments) -> Any:
        bound.apply_defaults()
        inputs = self.inputs_for(bound.arguments)
        values = list(self._compute(*inputs))
        number = values.pop(0) if len(self._lowered.ends) > 1 else None
        if number is not None and len(self._ends) < len(self._lowered.ends):
            returns = torch.stack([number == one for one in self._ends]).any()
            self._require(returns, values, "the program raises an exception")
        if self._lowered.is_checked:
            self._require(values[-1], values, "the program can't go on: an index out of range, or a number too large")
        self._lowered.write(values, inputs)
        answers = {one: _as_tensors(made_of(end.tree, values, tensors=True)) for one, end in self._ends.items()}
        _, answer = answers.popitem()
        for one, other in answers.items():
            assert number is not None
            answer = _either(number == one, other, answer)
        return answer


def _as_tensors(answer: Any) -> Any:
    return map_tree(lambda leaf: number_tensor(leaf) if type(leaf) in DTYPES else leaf, answer)


def _either(first: torch.Tensor, left: Any, right: Any) -> Any:
    """One of two answers of the same structure.

    Raises:
        LoweringError: two tensors in them are of different sizes or dtypes.
    """
    others = iter(leaves_of(right))

    def leaf(one: Any) -> Any:
        other = next(others)
        if one is None:
            return None
        if one.dtype != other.dtype or one.shape != other.shape:
            raise _UNLIKE
        return torch.where(first, one, other)

    return map_tree(leaf, left)


def _names(tree: Any, name: str) -> Iterator[str]:
    """The names of the slots of a tree."""
    if isinstance(tree, tuple | list):
        for place, part in enumerate(tree):
            yield from _names(part, f"{name}_{place}")
    elif isinstance(tree, dict):
        for key, part in tree.items():
            yield from _names(part, f"{name}_{key}")
    elif tree is not None:
        yield name


def _returning(code: Lowered) -> dict[int, End]:
    """The ends that return, by their numbers.

    Raises:
        LoweringError: they return answers of different structures, or leave changes in objects.
    """
    returning = {number: end for number, end in enumerate(code.ends) if not end.raises}
    if not returning:
        raise LoweringError("a program that always raises can't be exported")
    for end in returning.values():
        if end.writes:
            raise LoweringError(f"a change of {end.writes[0].source}, which is no tensor, can't be exported")
        if not all(isinstance(leaf, Slot) or leaf is None or type(leaf) in DTYPES for leaf in leaves_of(end.tree)):
            raise LoweringError("a result that is no tensor and no number can't be exported")
    structures = [map_tree(lambda leaf: leaf is None, end.tree) for end in returning.values()]
    if any(one != structures[0] for one in structures):
        raise _UNLIKE
    return returning

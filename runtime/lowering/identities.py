"""Tells which argument a result is, where it may be one: lowered code gives copies of what it gives on.

while t2.sum() > 1:                   ->    n5 = -1 if the loop made a new t2, else the number of the input that t2 is
    t2 = t2 * 0.5
return t2                             ->    return (t2, n5)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import (
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Return,
    Tree,
    Value,
    While,
    Yield,
    map_tree,
    walk_ops,
)
from d2s.runtime.lowering.builder import Expander, as_tensor, number_type
from d2s.runtime.lowering.origins import Origins

_NEW = -1


@dataclass(frozen=True)
class View:
    """A result that is an argument, or a view of one.

    `calls` make it of the input, one after another; `places` are those of other values that they take.
    """

    input: int
    calls: Sequence[Call]
    places: Mapping[Value, int]

    def of(self, tensor: torch.Tensor, values: Sequence[torch.Tensor]) -> torch.Tensor:
        """The view of a tensor."""
        known = {value: values[place] for value, place in self.places.items()}
        for call in self.calls:
            (base,) = call.effects.aliases
            known[base] = tensor
            args, kwargs = map_tree(lambda leaf: known.get(leaf, leaf), (call.args, call.kwargs))
            tensor = call.target(*args, **kwargs)
        return tensor


@dataclass(frozen=True)
class Which:
    """A result that is the input whose number is at a place, or new if that is negative."""

    place: int


Identity = View | Which | None


def identified(
    identity: Identity, value: torch.Tensor, values: Sequence[torch.Tensor], inputs: Sequence[torch.Tensor]
) -> torch.Tensor:
    """A value that a lowered program returned among others, or what it is of the inputs."""
    if isinstance(identity, View):
        return identity.of(inputs[identity.input], values)
    if isinstance(identity, Which) and (number := int(values[identity.place])) != _NEW:
        return inputs[number]
    return value


def with_identities(program: Program) -> tuple[Program, list[Identity]]:
    """The program, which returns more values, and for each value that it returned what is known of its identity.

    Raises:
        LoweringError: it may be a view of an argument, and which one is not known.
    """
    pass_ = _Identities(program)
    return pass_.program(program), pass_.identities


class _Identities(Expander):
    """`_which` are the numbers of the inputs that values are which may be one: constants, or values."""

    def __init__(self, program: Program):
        super().__init__(program)
        self.identities: list[Identity] = []
        self._origins = Origins(program)
        self._inputs = [entry.value for entry in program.inputs]
        self._which: dict[Value, Tree] = {value: number for number, value in enumerate(self._inputs)}
        joined = {value: sources for op in walk_ops(program.body) for value, sources in joined_values(op)}
        assert isinstance(program.body.terminator, Return)
        self._followed: set[Value] = set()
        todo = list(program.body.terminator.value)
        while todo:
            value = todo.pop()
            is_new = isinstance(value, Value) and value in joined and value not in self._followed
            if is_new and self._may_be_input(value):
                self._followed.add(value)
                todo += joined[value]

    def _may_be_input(self, value: Value) -> bool:
        return not self._origins.of(value).isdisjoint(self._inputs)

    def program(self, program: Program) -> Program:
        return replace(program, body=self.block(program.body, self._return))

    def _return(self, end: Return) -> Return:
        returned = list(end.value)
        for value in end.value:
            if not isinstance(value, Value) or not self._may_be_input(value):
                self.identities.append(None)
            elif value in self._followed:
                self.identities.append(Which(len(returned)))
                returned.append(self._number(value))
            else:
                self.identities.append(self._view(value, returned))
        return Return(tuple(returned), end.writes)

    def _view(self, value: Value, returned: list[Tree]) -> View:
        """How a value is a view of an input; what else is needed for it is `returned` too."""
        calls, root = self._origins.path(value), self._origins.root(value)
        if root not in self._inputs or not all(isinstance(call.result, Value) for call in calls):
            raise self.refusal("a result that may be a view of an argument can't be lowered")
        bases = {one for call in calls for one in call.effects.aliases}
        needed = [one for call in calls for one in call.operands if one not in bases]
        places = {one: len(returned) + place for place, one in enumerate(dict.fromkeys(needed))}
        returned.extend(places)
        return View(self._inputs.index(root), calls, places)

    def _number(self, leaf: Tree) -> Value:
        """The number of the input that a value is."""
        if isinstance(leaf, Value) and leaf not in self._which and self._may_be_input(leaf):
            raise self.refusal("a result that may be a view of an argument can't be lowered")
        return as_tensor(self, self._which.get(leaf, _NEW) if isinstance(leaf, Value) else _NEW, torch.int64)

    def expand(self, op: Op) -> Op | None:
        if isinstance(op, Call):
            return op
        return self._branch(op) if isinstance(op, If) else self._loop(op)

    def _follow(self, values: Sequence[Value]) -> tuple[list[int], list[Value]]:
        """Which of some values are followed, and new values for their numbers."""
        places = [place for place, value in enumerate(values) if value in self._followed]
        numbers = [self.new(number_type(int)) for _ in places]
        self._which.update(zip((values[place] for place in places), numbers, strict=True))
        return places, numbers

    def _with_numbers(self, values: Sequence[Tree], places: Sequence[int]) -> list[Tree]:
        return [*values, *(self._number(values[place]) for place in places)]

    def _branch(self, op: If) -> If:
        places, numbers = self._follow(op.results)
        then, orelse = (
            self.block(side, lambda end: Yield(self._with_numbers(end.values, places))) for side in op.blocks
        )
        return replace(op, then=then, orelse=orelse, results=[*op.results, *numbers])

    def _loop(self, op: While) -> While:
        carried, numbers = self._follow(op.params)
        inits = self._with_numbers(op.inits, carried)
        left, last = self._follow(op.results)
        test = self.block(op.test, lambda end: Condition(end.go_on, self._with_numbers(end.exits, left)))
        body = self.block(op.body, lambda end: Continue(self._with_numbers(end.values, carried)))
        params, results = [*op.params, *numbers], [*op.results, *last]
        return replace(op, params=params, inits=inits, test=test, body=body, results=results)

"""Traces a legalised program into one graph of ATen operators, `cond` and `while_loop`.

The program is evaluated on fake tensors; its branches and loops become calls of torch's higher-order operators, whose
functions take all that they use as operands. Those give back nothing that shares memory with what they are given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from d2s.runtime.ir.liveness import free_values
from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import (
    Block,
    Call,
    Condition,
    If,
    Op,
    Program,
    Return,
    TensorType,
    Value,
    While,
    map_tree,
    terminator_tree,
)
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.torch_internals.effects import storage_key
from d2s.runtime.torch_internals.graphs import TracedGraph, cond_op, traced_graph, while_loop_op

Environment = dict[Value, Any]
Tensors = tuple[Any, ...]
Function = Callable[..., Any]


def graph_of(program: Program, inputs: Sequence[torch.Tensor]) -> TracedGraph:
    """The graph that a legalised program is for inputs like these; their sizes stay free where the program's are.

    Raises:
        LoweringError: an op can't be in a graph.
    """
    return traced_graph(lambda *tensors: Evaluation().program(program, tensors), inputs, shapes_of(program))


def shapes_of(program: Program) -> list[tuple[int | None, ...]]:
    """The shapes of the inputs of a program; None in them is a size that is not known."""
    types = [entry.value.type for entry in program.inputs]
    return [kind.shape if isinstance(kind, TensorType) else () for kind in types]


class Evaluation:
    """Evaluates a program on tensors; what becomes of branches and loops is for subclasses to change."""

    def branch(self, test: torch.Tensor, then: Function, orelse: Function, operands: Tensors) -> Tensors:
        """What one of two functions of the operands gives."""
        return cond_op(test, then, orelse, operands)

    def loop(self, test: Function, body: Function, carried: Tensors, operands: Tensors) -> Tensors:
        """What is carried in the end by a loop, whose functions take the carried values and the operands."""
        return while_loop_op(test, body, carried, operands)

    def given(self, values: Sequence[Value], environment: Environment) -> Tensors:
        """What the functions of a branch or a loop are given for values; it shares no memory with each other."""
        return _in_own_memory([environment[value] for value in values], ())

    def program(self, program: Program, inputs: Tensors) -> Tensors:
        """What a program returns for inputs."""
        environment: Environment = dict(zip([entry.value for entry in program.inputs], inputs, strict=True))
        self._run_ops(program.body, environment)
        assert isinstance(program.body.terminator, Return)
        return _values(program.body.terminator.value, environment)

    def _run_ops(self, block: Block, environment: Environment) -> None:
        for op in block.ops:
            self._run(op, environment)

    def _run(self, op: Op, environment: Environment) -> None:
        try:
            with op.modes.entered():
                match op:
                    case Call():
                        made = op.target(*_values(op.args, environment), **_values(op.kwargs, environment))
                        _bind(op.result, made, environment)
                    case If():
                        self._branch(op, environment)
                    case While():
                        self._loop(op, environment)
        except LoweringError:
            raise
        except Exception as error:
            raise LoweringError(f"{_name(op)} can't be lowered: {error}", op.location) from error

    def _branch(self, op: If, environment: Environment) -> None:
        free = _operands([*free_values(op.then), *free_values(op.orelse)], environment)
        then, orelse = (self._function(side, free, environment, op.results) for side in op.blocks)
        made = self.branch(environment[op.condition], then, orelse, self.given(free, environment))
        environment.update(zip(op.results, made, strict=True))

    def _function(
        self, block: Block, params: Sequence[Value], outside: Environment, results: Sequence[Value]
    ) -> Function:
        """A block as a function of values, which gives what it ends with in memory of its own."""

        def function(*operands: torch.Tensor) -> Tensors:
            environment = {**outside, **dict(zip(params, operands, strict=True))}
            self._run_ops(block, environment)
            return apart(_filled(_values(_ends_with(block), environment), results), operands)

        return function

    def _loop(self, op: While, environment: Environment) -> None:
        """A loop; its test is computed before the trip that it lets begin, and once more for what it results in."""
        free = _operands([*free_values(op.test), *free_values(op.body)], environment)
        free = [value for value in free if value not in op.params]
        params = [*op.params, *free]

        def test(*operands: torch.Tensor) -> torch.Tensor:
            inside = {**environment, **dict(zip(params, operands, strict=True))}
            self._run_ops(op.test, inside)
            assert isinstance(op.test.terminator, Condition)
            (go_on,) = apart([_values(op.test.terminator.go_on, inside)], operands)
            return go_on

        def body(*operands: torch.Tensor) -> Tensors:
            inside = {**environment, **dict(zip(params, operands, strict=True))}
            self._run_ops(op.test, inside)
            self._run_ops(op.body, inside)
            return apart(_filled(_values(_ends_with(op.body), inside), op.params), operands)

        operands = self.given(free, environment)
        inits = apart(_filled(_values(op.inits, environment), op.params), operands)
        made = self.loop(test, body, inits, operands)
        inside = {**environment, **dict(zip(op.params, made, strict=True))}
        self._run_ops(op.test, inside)
        environment.update(zip(op.results, _values(op.exits, inside), strict=True))


def _values(tree: Any, environment: Environment) -> Any:
    return map_tree(lambda leaf: environment[leaf] if isinstance(leaf, Value) else leaf, tree)


def _bind(result: Any, made: Any, environment: Environment) -> None:
    if isinstance(result, tuple):
        for part, one in zip(result, made, strict=True):
            _bind(part, one, environment)
    elif isinstance(result, Value):
        environment[result] = made


def _operands(values: Sequence[Value], environment: Environment) -> list[Value]:
    """Those of some values that the functions of an operator must be given: what is traced, each once."""
    traced = torch.Tensor | torch.SymInt
    return [value for value in dict.fromkeys(values) if isinstance(environment.get(value), traced)]


def _ends_with(block: Block) -> list[Any]:
    """What a block ends with."""
    return list(terminator_tree(block.terminator))


def apart(values: Sequence[torch.Tensor], others: Sequence[Any]) -> tuple[torch.Tensor, ...]:
    """The same tensors, contiguous, that share no memory with others or with each other."""
    return _in_own_memory([value.contiguous() for value in values], others)


def _in_own_memory(values: Sequence[Any], others: Sequence[Any]) -> Tensors:
    """Values, with copies of the tensors that share memory with others or with those before them."""
    taken = {storage_key(one) for one in others if isinstance(one, torch.Tensor)}
    made: list[Any] = []
    for value in values:
        is_taken = isinstance(value, torch.Tensor) and storage_key(value) in taken
        made.append(value.clone() if is_taken else value)
        if isinstance(value, torch.Tensor):
            taken.add(storage_key(made[-1]))
    return tuple(made)


def _filled(values: Sequence[Any], results: Sequence[Value]) -> list[torch.Tensor]:
    """Values with something in place of those that are not there."""
    return [_filler(result) if one is None else one for one, result in zip(values, results, strict=True)]


def _filler(result: Value) -> torch.Tensor:
    """What stands for a value that is not there, and that nothing uses."""
    kind = result.type
    if not isinstance(kind, TensorType) or None in kind.shape:
        raise LoweringError(f"{result}, a {kind} that a branch may leave undefined, can't be lowered")
    return torch.zeros(kind.shape, dtype=kind.dtype, device=kind.device)


def _name(op: Op) -> str:
    return display_name(op.target) if isinstance(op, Call) else "this branch" if isinstance(op, If) else "this loop"

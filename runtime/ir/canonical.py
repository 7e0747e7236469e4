"""The form of a program that tells whether two of them do the same, whatever their values are numbered."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.normal import Truths, Uses, with_forks
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Raise,
    Return,
    TensorType,
    Tree,
    Value,
    ValueType,
    Yield,
    leaves_of,
    map_tree,
    terminator_tree,
)

# Constants of these classes are the same if they are equal; others if they are the same object.
_BY_VALUE = (bool, int, float, complex, str, bytes, type(None))


def canonical(program: Program, with_grad_mode: bool = True) -> Hashable:
    """Equal for programs that do the same; what asks for gradients, and where the code stood, is left out.

    Without `with_grad_mode` neither is it in it whether the graph of gradients was recorded.
    """
    return _Canonical(with_grad_mode).program(program)


class _Canonical:
    def __init__(self, with_grad_mode: bool):
        self.with_grad_mode = with_grad_mode
        self._numbers: dict[Value, int] = {}
        self._fresh = itertools.count()

    def program(self, program: Program) -> Hashable:
        body = with_forks(program.body)
        self._truths = Truths(body)
        self._uses = Uses(body, self._truths)
        ordered = sorted(program.inputs, key=lambda one: str(one.source))
        inputs = tuple((self._define(one.value), one.source, one.role) for one in ordered)
        return inputs, self._modes(program.modes), self._block(body)

    def _block(self, block: Block, joined: Sequence[int] = ()) -> Hashable:
        """A block; `joined` are the positions of those values at its end that matter, in their order."""
        ops = tuple(self._op(op) for op in block.ops if not self._truths.has(op))
        match block.terminator:
            case Branch() as fork:
                return ops, Branch, self._fork(fork, joined)
            case Yield(values) | Continue(values):
                return ops, self._tree([values[place] for place in joined])
            case Condition(go_on, exits):
                base, opposite = self._truths.of(go_on) if isinstance(go_on, Value) else (go_on, False)
                return ops, opposite, self._tree([base, *(exits[place] for place in joined)])
            case Return(_, writes) | Raise(_, writes) as end:
                kinds = tuple((one.kind, one.source) for one in writes)
                return ops, type(end), self._tree(terminator_tree(end)), kinds
        raise AssertionError("a block without an end")

    def _fork(self, fork: If | Branch, joined: Sequence[int]) -> Hashable:
        condition, first, second = self._truths.fork(fork)
        return self._tree(condition), self._block(first, joined), self._block(second, joined)

    def _op(self, op: Op) -> Hashable:
        modes = self._modes(op.modes)
        if isinstance(op, Call):
            effects = op.effects.random, op.effects.ordered
            called = op.target, self._tree(op.args), self._tree(op.kwargs), effects, modes
            return *called, tuple(map(self._define, op.results)), self._tree(op.result)
        joined = self._uses.order(op.results)
        if isinstance(op, If):
            inside = self._fork(op, joined)
        else:
            carried = self._uses.order(op.params)
            inits = self._tree([op.inits[place] for place in carried])
            params = tuple(self._define(op.params[place]) for place in carried)
            inside = inits, params, self._block(op.test, joined), self._block(op.body, carried)
        return inside, modes, tuple(self._define(op.results[place]) for place in joined)

    def _modes(self, modes: Modes) -> Modes:
        return modes if self.with_grad_mode else replace(modes, grad=True)

    def _define(self, value: Value) -> Hashable:
        # Blocks beside each other may define the same value, each as its own.
        self._numbers[value] = next(self._fresh)
        return self._numbers[value], _type(value.type)

    def _tree(self, tree: Any) -> Hashable:
        return tree_key(tree, lambda value: self._numbers.get(value, value))


def tree_key(tree: Tree, of_value: Callable[[Value], Hashable] = lambda value: value) -> Hashable:
    """The structure of a tree and its leaves, the values as `of_value` says."""
    return repr(map_tree(lambda leaf: 0, tree)), tuple(_leaf_key(leaf, of_value) for leaf in leaves_of(tree))


def _leaf_key(leaf: Any, of_value: Callable[[Value], Hashable]) -> Hashable:
    if isinstance(leaf, Value):
        return "value", of_value(leaf)
    if isinstance(leaf, _BY_VALUE):
        return type(leaf), repr(leaf)
    try:
        hash(leaf)
    except TypeError:
        return "object", id(leaf)
    return type(leaf), leaf


def _type(kind: ValueType) -> ValueType:
    return replace(kind, requires_grad=False) if isinstance(kind, TensorType) else kind

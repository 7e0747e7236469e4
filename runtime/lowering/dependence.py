"""Tells which inputs each result was computed from, so that the gradients by the others are None, as in eager.

A gradient that is None leaves a parameter alone, one of zeros lets weight decay and momentum change it. What a branch
that was not taken or a loop without trips would have used is known only when the program runs: bit `k` of a number,
which is carried along, says whether there is a path from input `k`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch.nn import functional as F

from d2s.runtime.ir.program import (
    Block,
    Call,
    Condition,
    Continue,
    If,
    Op,
    Program,
    Return,
    TensorType,
    Tree,
    Value,
    While,
    Yield,
    is_differentiable,
    terminator_tree,
)
from d2s.runtime.lowering.builder import Expander, as_tensor, number_type
from d2s.runtime.lowering.origins import Origins

BITS = 62
# What gives floats from which there is no path back.
_ENDS = (
    *(
        torch.Tensor.detach,
        torch.detach,
        torch.Tensor.data.__get__,
        torch.zeros_like,
        torch.ones_like,
        torch.full_like,
    ),
    *(torch.empty_like, torch.Tensor.new_zeros, torch.Tensor.new_ones, torch.Tensor.new_full, torch.Tensor.new_empty),
)
# What writes statistics that are kept without history.
_NORMALISING = (F.batch_norm, F.instance_norm, torch.batch_norm, torch.instance_norm)
# The bits of a mask, in words: numbers that are known, or values.
Mask = tuple[Tree, ...]
# What a word is when the program has run: bits, and the place of a returned value that has more of them, or None.
Word = tuple[int, int | None]
# Words of the masks of what a loop carries, by the place of the value and that of the word.
Words = dict[tuple[int, int], Tree]


def with_dependence_returned(
    program: Program, inputs: Sequence[int], outputs: Sequence[int]
) -> tuple[Program, list[list[Word]]]:
    """The program, and for each of some values that it returns the words of its mask.

    It returns more values, that the words are found in. Bit `k` of word `w` is for number `BITS * w + k` of `inputs`.
    """
    pass_ = _Dependence(program, inputs)
    words: list[list[Word]] = []

    def end(old: Return) -> Return:
        returned = list(old.value)
        for place in outputs:
            words.append([])
            for word in pass_.of(old.value[place]):
                words[-1].append((0, len(returned)) if isinstance(word, Value) else (word, None))
                returned += [word] if isinstance(word, Value) else []
        return Return(tuple(returned), old.writes)

    return replace(program, body=pass_.block(program.body, end)), words


def may_have_gradients(leaf: Tree) -> bool:
    """Whether a leaf of a tree is a value that gradients may go through."""
    kind = leaf.type if isinstance(leaf, Value) else None
    return isinstance(kind, TensorType) and is_differentiable(kind.dtype)


class _Dependence(Expander):
    """`_masks` are those of the memory of values, by their roots."""

    def __init__(self, program: Program, inputs: Sequence[int]):
        super().__init__(program)
        self._origins = Origins(program)
        count = -(-len(inputs) // BITS)
        self._none: Mask = (0,) * count
        self._masks: dict[Value, Mask] = {}
        for number, place in enumerate(inputs):
            bits = [1 << number % BITS if word == number // BITS else 0 for word in range(count)]
            self._masks[program.inputs[place].value] = tuple(bits)
        self._written = set(self._origins.written(program.body))

    def of(self, leaf: Tree) -> Mask:
        """The mask of a value."""
        return self._masks.get(self._origins.root(leaf), self._none) if isinstance(leaf, Value) else self._none

    def expand(self, op: Op) -> Op | None:
        if isinstance(op, Call):
            self.add(op)
            self._learn(op)
        elif isinstance(op, If):
            self._branch(op)
        else:
            self._loop(op)
        return None

    def _learn(self, op: Call) -> None:
        if not op.modes.grad:
            return
        mask = self._union([self.of(value) for value in op.operands])
        for value in op.effects.writes if op.target not in _NORMALISING else ():
            root = self._origins.root(value)
            self._masks[root] = self._union([self.of(root), mask])
        for result in op.results:
            if self._origins.root(result) == result and may_have_gradients(result) and self._goes_on(op, result):
                self._masks[result] = mask

    def _goes_on(self, op: Call, result: Value) -> bool:
        """Whether there is a path through a call; for what is computed of memory that is written types don't tell."""
        assert isinstance(result.type, TensorType)
        written = any(self._origins.root(value) in self._written for value in op.operands)
        return result.type.requires_grad or (written and op.target not in _ENDS)

    def _union(self, masks: Sequence[Mask]) -> Mask:
        return tuple(self._word(words) for words in zip(*masks, self._none, strict=True))

    def _word(self, words: Sequence[Tree]) -> Tree:
        known = 0
        for word in words:
            known |= 0 if isinstance(word, Value) else word
        made: Tree = None
        for word in dict.fromkeys(word for word in words if isinstance(word, Value)):
            made = word if made is None else self.call(torch.bitwise_or, made, word, to=number_type(int))
        if made is None or not known:
            return known if made is None else made
        return self.call(torch.bitwise_or, made, known, to=number_type(int))

    # -------------------------------------------------------------- joins

    @contextmanager
    def _at_end(self, block: Block) -> Iterator[None]:
        """Ops are put at the end of a block meanwhile."""
        outside, self._ops = self._ops, block.ops
        yield
        self._ops = outside

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """The masks of a block end with it."""
        outside = dict(self._masks)
        yield
        self._masks = outside

    def _branch(self, op: If) -> None:
        sides: list[Block] = []
        masks: list[list[Mask]] = []
        for block in op.blocks:
            with self._inside():
                sides.append(self.block(block, lambda end: end))
                masks.append([self.of(value) for value in terminator_tree(block.terminator)])
        results = list(op.results)
        for place, result in enumerate(op.results):
            if not may_have_gradients(result):
                continue
            words: list[Tree] = []
            for pair in zip(*(side[place] for side in masks), strict=True):
                if pair[0] == pair[1] and not isinstance(pair[0], Value):
                    words.append(pair[0])
                    continue
                words.append(self.new(number_type(int)))
                results.append(words[-1])
                for side, word in zip(sides, pair, strict=True):
                    with self._at_end(side):
                        assert isinstance(side.terminator, Yield)
                        side.terminator = Yield([*side.terminator.values, as_tensor(self, word, torch.int64)])
            self._masks[result] = tuple(words)
        self.add(replace(op, then=sides[0], orelse=sides[1], results=results))

    def _loop(self, op: While) -> None:
        """A loop that carries the words which change from trip to trip."""
        floats = [place for place, param in enumerate(op.params) if may_have_gradients(param)]
        starts = {(place, word): known for place in floats for word, known in enumerate(self.of(op.inits[place]))}
        carried = [one for one, known in starts.items() if isinstance(known, Value)]
        while True:
            numbers = {one: self.new(number_type(int)) for one in carried}
            test, body, exits, following = self._trip(op, starts | numbers)
            changed = [one for one, known in starts.items() if one not in numbers and following[one] != known]
            if not changed:
                break
            carried += changed
        with self._at_end(body):
            assert isinstance(body.terminator, Continue)
            body.terminator = Continue([*body.terminator.values, *self._numbers_of(following, carried)])
        assert isinstance(test.terminator, Condition)
        left, results = list(test.terminator.exits), list(op.results)
        for result, mask in zip(op.results, exits, strict=True):
            if may_have_gradients(result):
                self._masks[result] = tuple(self._exit(word, left, results) for word in mask)
        test.terminator = Condition(test.terminator.go_on, left)
        params, inits = [*op.params, *numbers.values()], [*op.inits, *self._numbers_of(starts, carried)]
        self.add(replace(op, params=params, inits=inits, test=test, body=body, results=results))

    def _trip(self, op: While, words: Words) -> tuple[Block, Block, list[Mask], Words]:
        """The test and the body for such words of what is carried; the masks of the exits, the words of the next."""
        assert isinstance(op.body.terminator, Continue)
        with self._inside():
            for place, param in enumerate(op.params):
                if may_have_gradients(param):
                    self._masks[param] = tuple(words[place, word] for word in range(len(self._none)))
            test = self.block(op.test, lambda end: end)
            exits = [self.of(leaf) for leaf in op.exits]
            body = self.block(op.body, lambda end: end)
            masks = [self.of(leaf) for leaf in op.body.terminator.values]
        return test, body, exits, {one: masks[one[0]][one[1]] for one in words}

    def _numbers_of(self, words: Words, which: Sequence[tuple[int, int]]) -> list[Value]:
        return [as_tensor(self, words[one], torch.int64) for one in which]

    def _exit(self, word: Tree, exits: list[Tree], results: list[Value]) -> Tree:
        """A word of what a loop results in."""
        if not isinstance(word, Value):
            return word
        exits.append(word)
        results.append(self.new(number_type(int)))
        return results[-1]

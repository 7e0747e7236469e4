"""What a function of torch gives for fake tensors, found by running it on them.

Where torch would have to know a size that is unknown, or can't take one, it is run on two examples instead: in place
of each unknown size there is one prime in the first and another in the second, and what differs in the two answers is
unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from d2s.runtime.ir.program import leaves_of, map_tree
from d2s.runtime.recording.lineage import sources_of, start_of
from d2s.runtime.recording.structures import rebuilt, tensors_in
from d2s.runtime.torch_internals.effects import EffectsWatch, storage_key, version
from d2s.runtime.torch_internals.fakes import FakeWorld, known_shape, real_zeros, symbolic_kind
from d2s.runtime.torch_internals.modes import without_modes, without_recording

_PRIMES = (23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71), (89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139, 149)


@dataclass(frozen=True)
class SomeOf:
    """A list of unknown length for a call: `item` is what each of its items may be."""

    item: Any


# For each tensor a label for each of its sizes: a number, or a text that is the same where sizes are equal.
Labels = list[tuple[Any, ...]]
Descents = list[tuple[torch.Tensor, list[torch.Tensor]]]


@dataclass(frozen=True)
class Inferred:
    """The answer of a call on fakes, and what it did to the tensors among its arguments.

    `aliases` are those of which the answer may share memory; `reshaped` is whether one has another shape or
    layout now, `regraded` whether one requires a gradient that did not, or the other way round, `drew` whether a
    random number was drawn. `descents` are tensors whose history does not lead to what they come from, each with
    that.
    """

    answer: Any
    tensors: list[torch.Tensor]
    written: list[torch.Tensor]
    aliases: list[torch.Tensor]
    reshaped: bool
    regraded: bool
    drew: bool
    descents: Descents = field(default_factory=list)


def infer(
    world: FakeWorld,
    watch: EffectsWatch,
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    equal_sizes: Labels | None = None,
) -> Inferred:
    """Run a function on fake tensors.

    `equal_sizes`, if given, has a label for each size of each tensor, the same for those that are equal if they are
    not 1: the function is then run on examples that have them equal.

    Raises:
        UnknownLengthError: what it gives depends on the length of a list in more than sizes.
        FAKE_ERRORS: it needs to know more than fakes tell.
        Exception: what it raises for these arguments.
    """
    if any(isinstance(leaf, SomeOf) for leaf in leaves_of((args, kwargs))):
        found = _by_examples(world, watch, func, args, kwargs, None)
        if found is None:
            raise UnknownLengthError
        return found
    if equal_sizes is not None:
        found = _by_examples(world, watch, func, args, kwargs, equal_sizes)
        if found is not None:
            return found
    try:
        return _run(watch, func, args, kwargs)
    except Exception as error:
        # Not only what asks for a size: some functions of torch take no symbolic number in some of their forms.
        if not has_unknowns((args, kwargs)):
            raise
        found = _by_examples(world, watch, func, args, kwargs, None)
        if found is None:
            # Sizes that differ may not fit together. If they are not equal, the call raises when the program runs.
            same = [
                tuple("?" if size is None else size for size in known_shape(t)) for t in tensors_in((args, kwargs))
            ]
            found = _by_examples(world, watch, func, args, kwargs, same)
        if found is None:
            raise error
        return found


def has_unknowns(arguments: Any) -> bool:
    """Whether a size of a tensor, or a number, is unknown among the arguments of a call."""
    numbers = [leaf for leaf in leaves_of(arguments) if symbolic_kind(leaf) is not None]
    return bool(numbers) or any(None in known_shape(tensor) for tensor in tensors_in(arguments))


def true_error(func: Callable[..., Any], args: Any, kwargs: Any, error: Exception) -> Exception | None:
    """What a function of torch, which raised `error` for fake tensors, raises for real ones of the same types.

    None if it does not; `error` if that can't be tried, for a size or a number is unknown.
    """
    made: dict[int, torch.Tensor] = {}

    def real(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor):
            return leaf
        if id(leaf) not in made:
            made[id(leaf)] = real_zeros(leaf)
        return made[id(leaf)]

    with without_modes(), torch.random.fork_rng(devices=()):
        try:
            given = map_tree(real, args), map_tree(real, kwargs)
        except Exception:
            return error
        try:
            func(*given[0], **given[1])
        except Exception as found:
            return found.with_traceback(None)
    return None


def _run(
    watch: EffectsWatch,
    func: Callable[..., Any],
    args: Any,
    kwargs: Any,
    tensors: list[torch.Tensor] | None = None,
) -> Inferred:
    """What a function gives for fakes, and does to `tensors`, by default all those among its arguments."""
    if tensors is None:
        tensors = tensors_in((args, kwargs))
    versions = [version(tensor) for tensor in tensors]
    forms = [_form(tensor) for tensor in tensors]
    grads = [tensor.requires_grad for tensor in tensors]
    watch.forget()
    answer = func(*args, **kwargs)
    written = [
        tensor
        for tensor, before in zip(tensors, versions, strict=True)
        if version(tensor) != before or storage_key(tensor) in watch.written
    ]
    shared = {storage_key(tensor) for tensor in tensors_in(answer)} - {None}
    aliases = [tensor for tensor in tensors if storage_key(tensor) in shared]
    reshaped = forms != [_form(tensor) for tensor in tensors]
    regraded = grads != [tensor.requires_grad for tensor in tensors]
    return Inferred(answer, tensors, written, aliases, reshaped, regraded, watch.drew)


def _form(tensor: torch.Tensor) -> tuple[Any, ...]:
    """What of a fake tensor an op may change in place for good."""
    return tensor.layout, tuple(map(_comparable, tensor.shape))


def _comparable(size: Any) -> Any:
    """A size that compares without asking anything."""
    return size if type(size) is int else str(size)


# ------------------------------------------------------------------ examples


class UnknownLengthError(Exception):
    """A function of torch can't be given a list of unknown length; never leaves the runtime."""


class _DifferError(Exception):
    """Two examples give answers that can't stand for one."""


def _by_examples(
    world: FakeWorld, watch: EffectsWatch, func: Any, args: Any, kwargs: Any, labels: Labels | None
) -> Inferred | None:
    """What two examples have in common; None if they can't be run, or give answers of another form."""
    tensors = tensors_in((args, kwargs))
    if labels is not None and [len(label) for label in labels] != [tensor.dim() for tensor in tensors]:
        return None
    runs, starts = [], []
    for length, primes in enumerate(_PRIMES, start=2):
        example = _Example(world, primes, tensors, labels, length)
        try:
            given, named = map_tree(example, (args, kwargs))
            starts.append(list(map(start_of, example.made(tensors))))
            runs.append(_run(watch, func, given, named, example.made(tensors)))
        except Exception:
            return None
    first, second = runs
    if first.reshaped or _places(first) != _places(second):
        return None
    try:
        common = _Common(world, tensors, starts[0], first.tensors, second.tensors)
        answer = common.of(first.answer, second.answer)
    except _DifferError:
        return None
    for place in _places(first)[0]:
        if start_of(first.tensors[place]) != starts[0][place]:
            common.rewrite(tensors[place], first.tensors[place])
    written, aliases = ([tensors[place] for place in places] for places in _places(first))
    return Inferred(answer, tensors, written, aliases, False, first.regraded, first.drew, common.descents)


class _Example:
    """Maps tensors of unknown size, sizes and lists to ones that are known, always the same to the same."""

    def __init__(
        self,
        world: FakeWorld,
        primes: Sequence[int],
        tensors: list[torch.Tensor],
        labels: Labels | None,
        length: int,
    ):
        self._world = world
        self._primes = primes
        self._length = length
        self._sizes: dict[Any, int] = {}
        self._made: dict[int, torch.Tensor] = {}
        for number, tensor in enumerate(tensors):
            if labels is None:
                sizes = world.known_sizes(tensor, self._size)
            else:
                sizes = [label if type(label) is int else self._size(label) for label in labels[number]]
            if id(tensor) not in self._made:
                self._made[id(tensor)] = world.with_sizes(tensor, sizes)

    def __call__(self, leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return self._made[id(leaf)]
        if isinstance(leaf, SomeOf):
            return [map_tree(self._item, leaf.item) for _ in range(self._length)]
        return self._world.with_values(leaf.node, self._size) if type(leaf) is torch.SymInt else leaf

    def _item(self, leaf: Any) -> Any:
        if isinstance(leaf, torch.Tensor):
            return self._world.with_sizes(leaf, self._world.known_sizes(leaf, self._size))
        return self(leaf)

    def made(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """What stands for these."""
        return [self._made[id(tensor)] for tensor in tensors]

    def _size(self, symbol: Any) -> int:
        return self._sizes.setdefault(symbol, self._primes[len(self._sizes) % len(self._primes)])


def _places(run: Inferred) -> list[list[int]]:
    """Where among the arguments the tensors stand that were written, and those whose memory the answer may share."""
    numbers = {id(tensor): number for number, tensor in enumerate(run.tensors)}
    return [[numbers[id(tensor)] for tensor in group] for group in (run.written, run.aliases)]


class _Common:
    """Makes one answer of two. A size that is that of an argument in both is the very size of the argument."""

    def __init__(
        self, world: FakeWorld, tensors: list[torch.Tensor], starts: list[Any], *examples: list[torch.Tensor]
    ):
        self._world = world
        self._tensors, self._starts = tensors, starts  # where the histories in the first example start
        self.descents: Descents = []
        self._sizes: dict[Any, Any] = {}
        for shapes in zip(tensors, *examples, strict=True):
            for size, *both in zip(*(tensor.shape for tensor in shapes), strict=True):
                same = self._sizes.setdefault(tuple(both), size)
                if str(same) != str(size):
                    self._sizes[tuple(both)] = None  # equal only as long as neither is 1

    def of(self, left: Any, right: Any) -> Any:
        """One answer for two.

        Raises:
            _DifferError: there is none.
        """
        if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
            if left.dtype != right.dtype or left.dim() != right.dim() or left.requires_grad != right.requires_grad:
                raise _DifferError
            shape = map(self._size, left.shape, right.shape)
            answer = self._world.empty(left.dtype, shape, left.device, left.requires_grad)
            if left.requires_grad:
                self.descents.append((answer, [self._tensors[place] for place in sources_of(left, self._starts)]))
            return answer
        if isinstance(left, tuple | list) and type(left) is type(right) and len(left) == len(right):
            return rebuilt(left, [self.of(one, other) for one, other in zip(left, right, strict=True)])
        if type(left) is not type(right) or left != right:
            raise _DifferError
        return left

    def rewrite(self, tensor: torch.Tensor, left: torch.Tensor) -> None:
        """Give a tensor, which the call writes in place, the history that it has in an example."""
        new = self.of(left, left)
        with without_recording(), torch.enable_grad():
            tensor.copy_(new.expand(tensor.shape))

    def _size(self, left: Any, right: Any) -> Any:
        if type(left) is not int or type(right) is not int:
            return None  # one that depends on data, such as how many are true
        return left if left == right else self._sizes.get((left, right))

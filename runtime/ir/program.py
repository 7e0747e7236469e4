"""The intermediate representation: a structured static program of torch calls and control flow.

    program    ::= "program" NAME "(" input* ")" block
    input      ::= value "from" source                      -- a path, such as self.fc.weight
    block      ::= op* terminator
    op         ::= [result "="] call | results "=" if | results "=" while
    call       ::= target "(" tree* ")"                     -- a torch function, or a function of this package
    if         ::= "if" value block block                   -- both blocks end in `yield`
    while      ::= "while" (value "=" tree)* block block    -- a test block and a body block
    terminator ::= "yield" tree*                            -- of an if's block: its results
                 | "condition" tree "," tree*               -- of a while's test: go on? and results
                 | "continue" tree*                         -- of a while's body: the next carried values
                 | "return" tree writes                     -- of the program
                 | "raise" tree writes                      -- of the program, also from inside a loop
                 | "branch" value block block               -- a fork: what follows is in both blocks
    writes     ::= (location ":=" tree)*                    -- what it leaves changed in the user's objects
    tree       ::= value | constant | tuple, list, dict or slice of trees

A block sees the values of the blocks around it; a while's body also sees those of its test, and both see
its parameters. The leaves of a fork end in what the forked block itself must end in, or in `raise`.
A value need not be a tensor: it may be any Python object that is known only when the program runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import torch

from d2s.runtime.errors import Location
from d2s.runtime.ir.modes import Modes
from d2s.runtime.ir.sources import Source

PLAIN = Modes()


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('?' if size is None else str(size) for size in shape)}]"


def is_differentiable(dtype: torch.dtype) -> bool:
    """Whether a tensor of this dtype can have gradients."""
    return dtype.is_floating_point or dtype.is_complex


def covers_shape(known: Sequence[int | None], other: Sequence[int | None]) -> bool:
    """Whether a shape, in which None is any size, is also the other."""
    return len(known) == len(other) and all(size in (None, found) for size, found in zip(known, other, strict=True))


@dataclass(frozen=True)
class TensorType:
    """What is known about a tensor before the program runs; None in `shape` is an unknown size."""

    dtype: torch.dtype
    shape: tuple[int | None, ...]
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    requires_grad: bool = False

    def __str__(self) -> str:
        return f"{str(self.dtype).removeprefix('torch.')}{_shape_text(self.shape)}"

    def covers(self, other: TensorType) -> bool:
        """Whether what is of the other type is also of this one."""
        return replace(other, shape=self.shape) == self and covers_shape(self.shape, other.shape)


@dataclass(frozen=True)
class ArrayType:
    """What is known about an array or a scalar of numpy's: `kind` is its class, None in `shape` an unknown size."""

    kind: type
    dtype: Any
    shape: tuple[int | None, ...]

    def __str__(self) -> str:
        return f"{self.kind.__name__}.{self.dtype}{_shape_text(self.shape)}"

    def covers(self, other: ArrayType) -> bool:
        """Whether what is of the other type is also of this one."""
        same = self.kind is other.kind and self.dtype == other.dtype
        return same and covers_shape(self.shape, other.shape)


@dataclass(frozen=True)
class PythonType:
    """A Python object of class `python_type`: a number, a text, or anything a function makes."""

    python_type: type = object

    def __str__(self) -> str:
        return self.python_type.__name__


ValueType = TensorType | ArrayType | PythonType


def is_tensor(kind: ValueType) -> bool:
    """Whether what is of this type is a tensor, if only that is known of it."""
    return isinstance(kind, TensorType) or kind == PythonType(torch.Tensor)


@dataclass(frozen=True)
class Value:
    """Something that exists when the program runs; a program's inputs have negative numbers.

    Equal by number: two recordings with a common prefix agree on it.
    """

    number: int
    type: ValueType = field(compare=False)

    def __str__(self) -> str:
        if self.number < 0:
            return f"a{-self.number}"
        return f"{'t' if isinstance(self.type, TensorType) else 'n'}{self.number}"


# A tree is a Value, a constant, or a tuple, list, dict or slice of trees.
Tree = Any


@dataclass(frozen=True)
class Effects:
    """What a call does besides computing its result.

    `writes`: the values whose memory it changes; `aliases`: the values whose memory its result may share;
    `random`: it draws from a generator; `ordered`: it runs exactly where it stands (it prints, it raises).
    """

    writes: tuple[Value, ...] = ()
    aliases: tuple[Value, ...] = ()
    random: bool = False
    ordered: bool = False

    @property
    def pure(self) -> bool:
        return not (self.writes or self.random or self.ordered)


PURE = Effects()
ORDERED = Effects(ordered=True)


@dataclass(eq=False)
class Call:
    """`result = target(*args, **kwargs)`, in these modes of torch.

    `result` is a Value, None when the result is not used (an in-place call returns its argument), or a
    tuple of both.
    """

    target: Callable[..., Any]
    args: tuple[Tree, ...] = ()
    kwargs: dict[str, Tree] = field(default_factory=dict)
    result: Tree = None
    effects: Effects = PURE
    modes: Modes = PLAIN
    location: Location | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        return ()

    @property
    def operands(self) -> list[Value]:
        return values_in((self.args, self.kwargs))

    @property
    def results(self) -> list[Value]:
        return values_in(self.result)


@dataclass(eq=False)
class If:
    """`results = if condition then else`: the blocks end in Yield, one tree a result."""

    condition: Value
    then: Block
    orelse: Block
    results: list[Value]
    modes: Modes = PLAIN
    location: Location | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.then, self.orelse)

    @property
    def operands(self) -> list[Value]:
        return [self.condition]


@dataclass(eq=False)
class While:
    """A loop over carried values.

    `params` start as `inits` and are what the test sees; the test ends in Condition, the body in Continue
    with the next `params`. `results` are the Condition's exit values.
    """

    params: list[Value]
    inits: list[Tree]
    test: Block
    body: Block
    results: list[Value]
    modes: Modes = PLAIN
    location: Location | None = None

    @property
    def blocks(self) -> tuple[Block, ...]:
        return (self.test, self.body)

    @property
    def operands(self) -> list[Value]:
        return values_in(self.inits)

    @property
    def exits(self) -> list[Tree]:
        """The results by what they are in the test."""
        assert isinstance(self.test.terminator, Condition)
        return self.test.terminator.exits

    def results_of(self, carried: Value) -> list[Value]:
        """The results that a carried value is in the end."""
        return [result for result, one in zip(self.results, self.exits, strict=True) if one == carried]


Op = Call | If | While


@dataclass(eq=False)
class Yield:
    """Ends an if's block with its results."""

    values: list[Tree]


@dataclass(eq=False)
class Condition:
    """Ends a while's test: whether to run the body, and the loop's results if not."""

    go_on: Tree
    exits: list[Tree]


@dataclass(eq=False)
class Continue:
    """Ends a while's body with the next carried values."""

    values: list[Tree]


@dataclass(frozen=True)
class Write:
    """A change that the call leaves behind: the object at `source` gets `value`, a tree, as `kind` says."""

    kind: WriteKind
    source: Source
    value: Tree


class WriteKind(Enum):
    """How a write is done."""

    BIND = "the attribute, item, global or cell at the source is bound to the value"
    UNBIND = "the attribute at the source is deleted"
    CONTENTS = "the list, dict, set or deque at the source gets the contents of the value"


@dataclass(eq=False)
class Return:
    """Ends the program with its answer, a tree."""

    value: Tree
    writes: list[Write] = field(default_factory=list)


@dataclass(eq=False)
class Raise:
    """Ends the program by raising `exception`, a Value."""

    exception: Tree
    writes: list[Write] = field(default_factory=list)


@dataclass(eq=False)
class Branch:
    """A fork: the rest of the block was recorded once for each side."""

    condition: Value
    then: Block
    orelse: Block


Terminator = Yield | Condition | Continue | Return | Raise | Branch


@dataclass(eq=False)
class Block:
    """Operations in order, then one terminator (None only while it is being recorded)."""

    ops: list[Op] = field(default_factory=list)
    terminator: Terminator | None = None

    def leaves(self) -> Iterator[Block]:
        """The blocks in which this one can end: itself, or the leaves of its fork."""
        if isinstance(self.terminator, Branch):
            yield from self.terminator.then.leaves()
            yield from self.terminator.orelse.leaves()
        else:
            yield self


class Role(Enum):
    """What an input of a program is to the user."""

    ARGUMENT = "argument"
    PARAMETER = "parameter"
    BUFFER = "buffer"
    CONSTANT = "constant"
    COUNTER = "counter"


@dataclass(frozen=True)
class Input:
    """A value that the caller's objects provide at each call, found at `source`."""

    value: Value
    source: Source
    role: Role = Role.ARGUMENT


@dataclass(eq=False)
class Program:
    """One function captured for one signature; `modes` are those that it is called in.

    `names` are what the user's code called some of the values, for those who read it.
    """

    name: str
    inputs: list[Input] = field(default_factory=list)
    body: Block = field(default_factory=Block)
    modes: Modes = PLAIN
    names: dict[Value, str] = field(default_factory=dict)

    def writes(self) -> Iterator[Write]:
        """What the ends of the program leave changed in the user's objects."""
        for block in walk_blocks(self.body):
            if isinstance(block.terminator, Return | Raise):
                yield from block.terminator.writes

    def __str__(self) -> str:
        from d2s.runtime.ir.printer import format_program

        return format_program(self)


# ------------------------------------------------------------------ trees


def map_tree(function: Callable[[Any], Any], tree: Tree) -> Tree:
    """The same tree with `function` applied to every leaf (Values and constants)."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind(map_tree(function, item) for item in tree)
    if kind is dict:
        return {key: map_tree(function, item) for key, item in tree.items()}
    if kind is slice:
        return slice(*(map_tree(function, part) for part in (tree.start, tree.stop, tree.step)))
    return function(tree)


def leaves_of(tree: Tree) -> list[Any]:
    """The leaves of a tree, in order."""
    found: list[Any] = []
    map_tree(found.append, tree)
    return found


def values_in(tree: Tree) -> list[Value]:
    """The Values of a tree, in order, repeated as they occur."""
    return [leaf for leaf in leaves_of(tree) if isinstance(leaf, Value)]


# ------------------------------------------------------------------ walks


def terminator_tree(terminator: Terminator | None) -> Tree:
    """What a terminator uses, as one tree."""
    match terminator:
        case Yield(values) | Continue(values):
            return values
        case Condition(go_on, exits):
            return [go_on, *exits]
        case Return(value, writes) | Raise(value, writes):
            return [value, *(write.value for write in writes)]
        case Branch(condition):
            return condition
    return None


def inner_blocks(block: Block) -> Iterator[Block]:
    """The blocks directly inside this one, those of its fork included."""
    for op in block.ops:
        yield from op.blocks
    if isinstance(block.terminator, Branch):
        yield block.terminator.then
        yield block.terminator.orelse


def raises(block: Block) -> bool:
    """Whether every path through a block ends in `raise`."""
    return all(isinstance(leaf.terminator, Raise) for leaf in block.leaves())


def walk_ops(block: Block) -> Iterator[Op]:
    """Every op of this block and of those inside it, in the order in which they are printed."""
    for op in block.ops:
        yield op
        for inner in op.blocks:
            yield from walk_ops(inner)
    if isinstance(block.terminator, Branch):
        yield from walk_ops(block.terminator.then)
        yield from walk_ops(block.terminator.orelse)


def walk_blocks(block: Block) -> Iterator[Block]:
    """This block and every block inside it, outer ones first."""
    yield block
    for inner in inner_blocks(block):
        yield from walk_blocks(inner)


def use_counts(program: Program) -> Counter[Value]:
    """How often each value is used, by ops and at the ends of blocks."""
    counts: Counter[Value] = Counter()
    for block in walk_blocks(program.body):
        counts.update(values_in(terminator_tree(block.terminator)))
        for op in block.ops:
            counts.update(op.operands)
    return counts

"""Says with regard to which values of a program gradients may be wanted, but for its inputs.

A graph gives all its results in one step: none of them is computed from another, and gradients with regard to one
that it returns on the way would not be found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import Call, Op, Program, Return, TensorType, Value, values_in, walk_blocks, walk_ops
from d2s.runtime.lowering.origins import Origins
from d2s.runtime.passes.memory import is_constant_type


def sources_of_gradients(program: Program) -> set[Value]:
    """The values that a program hands to what may look for their part in others, or returns with what is of them."""
    ops = list(walk_ops(program.body))
    found = _assigned({*_handed_out(ops), *_returned_on_the_way(program, ops)}, ops)
    return {value for value in found if _has_history(value)}


def _assigned(found: set[Value], ops: Iterable[Op]) -> set[Value]:
    """Values with those that they may be, and what those hold that are no tensors."""
    found = set(found)
    size = 0
    while size != (size := len(found)):
        for op in ops:
            if not isinstance(op, Call):
                found.update(values_in([those for joined, those in joined_values(op) if joined in found]))
            elif any(value in found and not isinstance(value.type, TensorType) for value in op.results):
                found.update(op.operands)
    return found


def _handed_out(ops: Iterable[Op]) -> list[Value]:
    """What functions get that may look, and containers if there are such functions."""
    ordered = [op for op in ops if isinstance(op, Call) and op.effects.ordered]
    return [] if all(map(_is_of_python, ordered)) else [value for op in ordered for value in op.operands]


def _is_of_python(call: Call) -> bool:
    """Whether a call is of a function or a method of Python's own, which know nothing of gradients."""
    owner = getattr(call.target, "__objclass__", None) or call.target
    return getattr(owner, "__module__", None) in ("builtins", "_operator")


def _returned_on_the_way(program: Program, ops: Iterable[Op]) -> Iterator[Value]:
    """What a program returns, or writes, of which it computes something else that it returns."""
    ends = [block.terminator for block in walk_blocks(program.body) if isinstance(block.terminator, Return)]
    trees = [tree for end in ends for tree in (end.value, *(write.value for write in end.writes))]
    inputs = {entry.value for entry in program.inputs}
    returned = {value for value in values_in(trees) if _has_history(value)} - inputs
    if len(returned) > 1:
        following = _following(program, ops)
        yield from (value for value in returned if returned & _reached(_assigned({value}, ops), following) - {value})


def _following(program: Program, ops: Iterable[Op]) -> dict[Value, set[Value]]:
    """What is computed from each value, in one step."""
    origins = Origins(program)
    found: dict[Value, set[Value]] = defaultdict(set)
    for op in ops:
        if isinstance(op, Call):
            made = [*op.results, *(other for value in op.effects.writes for other in origins.sharing(value))]
            steps = [(value, [*op.operands]) for value in made]
        else:
            steps = [(joined, values_in(those)) for joined, those in joined_values(op)]
        for value, those in steps:
            for source in filter(_has_history, those if _has_history(value) else ()):
                found[source].add(value)
    return found


def _reached(starts: set[Value], following: dict[Value, set[Value]]) -> set[Value]:
    """What is computed from values, in any number of steps."""
    found: set[Value] = set()
    left = list(starts)
    while left:
        new = following.get(left.pop(), set()) - found
        found |= new
        left += new
    return found


def _has_history(value: Value) -> bool:
    """Whether a value may have been computed with gradients, or hold what was."""
    return value.type.requires_grad if isinstance(value.type, TensorType) else not is_constant_type(value.type)

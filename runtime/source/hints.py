"""What the user's code called the values of a program, as far as its source lines tell."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from d2s.runtime.errors import Location
from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import (
    Block,
    Branch,
    Call,
    Program,
    PythonType,
    Value,
    While,
    walk_ops,
)
from d2s.runtime.ir.sources import Argument
from d2s.runtime.recording.attempts import attempt

# The name of a variable, or a tuple of such for a tuple of targets; None for anything else.
Target = Any


def names_of_values(program: Program) -> dict[Value, str]:
    """The variables that values were assigned to; arguments have their own names."""
    names = {one.value: one.source.name for one in program.inputs if isinstance(one.source, Argument)}
    files = _Files()
    _name_block(program.body, names, files)
    _name_joins(program, names, files)
    return names


def name_joins(program: Program, names: dict[Value, str]) -> None:
    """Give what is joined where paths meet the name of what becomes it, as far as that has one."""
    _name_joins(program, names, _Files())


def _name_block(block: Block, names: dict[Value, str], files: _Files) -> None:
    for op, following in zip_longest(block.ops, block.ops[1:]):
        if isinstance(op, Call) and op.location and (following is None or following.location != op.location):
            target, is_loop = files.at(op.location).targets.get(op.location.line, (None, False))
            # An attempt gives its answer last; the flags of a loop are at its line, but are none of its variables.
            result = op.result[-1] if op.target is attempt else op.result
            if not (is_loop and isinstance(result, Value) and result.type == PythonType(bool)):
                _name_results(target, result, names)
        for inner in op.blocks:
            _name_block(inner, names, files)
    if isinstance(block.terminator, Branch):
        _name_block(block.terminator.then, names, files)
        _name_block(block.terminator.orelse, names, files)


def _name_results(target: Target, result: Any, names: dict[Value, str]) -> None:
    if isinstance(target, str) and isinstance(result, Value):
        names.setdefault(result, target)
    elif isinstance(target, str) and isinstance(result, tuple):
        for part in result:
            _name_results(target, part, names)
    elif isinstance(target, tuple) and isinstance(result, tuple) and len(target) == len(result):
        for one, part in zip(target, result, strict=True):
            _name_results(one, part, names)


# ------------------------------------------------------------------ joins


def _name_joins(program: Program, names: dict[Value, str], files: _Files) -> None:
    while _name_more_joins(program, names, files):
        pass


def _name_more_joins(program: Program, names: dict[Value, str], files: _Files) -> bool:
    """Give results and carried values the name of what becomes them; whether any was given."""
    before = len(names)
    for op in walk_ops(program.body):
        own: frozenset[str] = frozenset()
        if isinstance(op, While) and op.location:
            own = files.at(op.location).assigned_by_loops.get(op.location.line, own)
        for value, sources in joined_values(op):
            found = [names[source] for source in sources if isinstance(source, Value) and source in names]
            if value not in names and found:
                # What a variable starts as may be another one's, and so may be what it gets in a trip: `x = step`.
                names[value] = found[-1] if found[-1] in own else found[0]
    return len(names) > before


# ------------------------------------------------------------------ lines


@dataclass(frozen=True)
class _Lines:
    """What the lines of a file do: `targets` is what the innermost statement there assigns to, and whether it is a
    loop; `assigned_by_loops` the variables that the loop that begins there assigns to."""

    targets: dict[int, tuple[Target, bool]]
    assigned_by_loops: dict[int, frozenset[str]]


class _Files:
    """The files of a program, each looked for once."""

    def __init__(self) -> None:
        self._found: dict[str, _Lines] = {}

    def at(self, location: Location) -> _Lines:
        """The file of a location; one without lines if it is not there."""
        name = location.filename
        if name not in self._found:
            self._found[name] = _lines_of("".join(linecache.getlines(name)))
        return self._found[name]


@lru_cache(maxsize=64)
def _lines_of(source: str) -> _Lines:
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return _Lines({}, {})
    targets: dict[int, tuple[Target, bool]] = {}
    for node in nodes:
        match node:
            case ast.Assign(targets=[target]) | ast.AugAssign(target=target) | ast.AnnAssign(target=target):
                last = node.end_lineno or node.lineno
            case ast.For(target=target):
                last = node.iter.end_lineno or node.lineno
            case _:
                continue
        for line in range(node.lineno, last + 1):
            targets[line] = _target(target), isinstance(node, ast.For)
    loops = [node for node in nodes if isinstance(node, ast.For | ast.While)]
    return _Lines(targets, {loop.lineno: frozenset(_assigned_in(loop)) for loop in loops})


def _target(node: ast.expr) -> Target:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return tuple(map(_target, parts))
    return None


def _assigned_in(loop: ast.AST) -> Iterator[str]:
    for node in ast.walk(loop):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id

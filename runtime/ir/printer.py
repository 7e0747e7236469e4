"""Prints a program as text for people, one line an op."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from d2s.runtime.ir.names import display_name
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
    Terminator,
    Value,
    Write,
    WriteKind,
    Yield,
)

_INDENT = "    "


def format_program(program: Program) -> str:
    """The whole program."""
    lines = [f"program {program.name}("]
    for entry in program.inputs:
        lines.append(f"{_INDENT}{_typed(entry.value)} from {entry.source},  # {entry.role.value}")
    lines.append("):")
    lines += [_INDENT + line for line in format_block(program.body)]
    return "\n".join(lines)


def format_block(block: Block) -> Iterator[str]:
    """A block's lines, not indented."""
    for op in block.ops:
        yield from format_op(op)
    if block.terminator is not None:
        yield from _terminator(block.terminator)


def format_op(op: Op) -> Iterator[str]:
    """An op's lines, not indented, ending in the source line that it comes from."""
    place = f"  # line {op.location.line}" if op.location else ""
    if isinstance(op, Call):
        yield _call(op) + place
    elif isinstance(op, If):
        yield f"{_results(op.results)}if {op.condition}:{place}"
        yield from _nested(op.then)
        yield "else:"
        yield from _nested(op.orelse)
    else:
        yield f"{_results(op.results)}while{place}"
        yield from (
            f"{_INDENT}{_typed(param)} := {format_tree(init)}"
            for param, init in zip(op.params, op.inits, strict=True)
        )
        yield "test:"
        yield from _nested(op.test)
        yield "body:"
        yield from _nested(op.body)


def format_tree(tree: Any) -> str:
    """A tree as Python would write it, values by their names."""
    if isinstance(tree, Value):
        return str(tree)
    kind = type(tree)
    if kind is tuple:
        return "(" + ", ".join(map(format_tree, tree)) + (",)" if len(tree) == 1 else ")")
    if kind is list:
        return "[" + ", ".join(map(format_tree, tree)) + "]"
    if kind is dict:
        return "{" + ", ".join(f"{key!r}: {format_tree(item)}" for key, item in tree.items()) + "}"
    if kind is slice:
        return f"slice({format_tree(tree.start)}, {format_tree(tree.stop)}, {format_tree(tree.step)})"
    if isinstance(tree, torch.Tensor):
        return f"<tensor {tuple(tree.shape)}>"
    if callable(tree):
        return f"<{getattr(tree, '__qualname__', kind.__name__)}>"
    return repr(tree)


def _typed(value: Value) -> str:
    return f"{value}: {value.type}"


def _results(results: Sequence[Value]) -> str:
    return ", ".join(map(_typed, results)) + " = " if results else ""


def _nested(block: Block) -> Iterator[str]:
    for line in format_block(block):
        yield _INDENT + line


def _call(op: Call) -> str:
    arguments = [format_tree(arg) for arg in op.args]
    arguments += [f"{name}={format_tree(arg)}" for name, arg in op.kwargs.items()]
    result = _typed(op.result) if isinstance(op.result, Value) else format_tree(op.result)
    head = "" if op.result is None else f"{result} = "
    return f"{head}{display_name(op.target)}({', '.join(arguments)})" + (f"  # {op.modes}" if str(op.modes) else "")


def _write(write: Write) -> str:
    match write.kind:
        case WriteKind.BIND:
            return f"{write.source} := {format_tree(write.value)}"
        case WriteKind.UNBIND:
            return f"del {write.source}"
        case WriteKind.CONTENTS:
            return f"{write.source}[:] := {format_tree(write.value)}"


def _terminator(terminator: Terminator) -> Iterator[str]:
    match terminator:
        case Yield(values):
            yield f"yield {', '.join(map(format_tree, values))}".rstrip()
        case Continue(values):
            yield f"continue {', '.join(map(format_tree, values))}".rstrip()
        case Condition(go_on, exits):
            yield f"condition {', '.join(map(format_tree, [go_on, *exits]))}"
        case Return(value, writes):
            yield from map(_write, writes)
            yield f"return {format_tree(value)}"
        case Raise(exception, writes):
            yield from map(_write, writes)
            yield f"raise {format_tree(exception)}"
        case Branch(condition, then, orelse):
            yield f"branch {condition}:"
            yield from _nested(then)
            yield "else:"
            yield from _nested(orelse)

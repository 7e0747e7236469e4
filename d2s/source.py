"""Finds the syntax tree of a live function, with its positions in the file that it comes from."""

from __future__ import annotations
import __future__

import functools
import linecache
import operator
import types
from functools import lru_cache
from typing import Any

import gast

from d2s.errors import SourceError
from d2s.transforms.scopes import parameter_names

FunctionNode = Any
_FUTURES = (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_FUTURE = functools.reduce(operator.or_, _FUTURES)


def function_tree(function: Any) -> FunctionNode:
    """The `FunctionDef`, `AsyncFunctionDef` or `Lambda` node of a function; not to be changed.

    Raises:
        SourceError: its source can't be had, or is no longer what was compiled.
    """
    code = function.__code__
    # From Python 3.13 on there may be a source under this name, but it need not be that of what `exec` has made.
    is_nameless = code.co_filename == "<string>"
    lines = () if is_nameless else tuple(linecache.getlines(code.co_filename, function.__globals__))
    if not lines:
        raise SourceError(
            f"the source of {function.__qualname__} can't be had (it was made in {code.co_filename}); "
            "define it in a file"
        )
    found = [node for node in _functions_by_line(lines).get(code.co_firstlineno, ()) if _fits(node, code)]
    if len(found) > 1 and isinstance(found[-1], gast.Lambda):
        found = [max(found, key=lambda node: (node.body.lineno, node.body.col_offset))]  # the innermost
    if len(found) != 1 or not _was_compiled_from(lines, code):
        raise SourceError(
            f"the source of {function.__qualname__} is not at {code.co_filename}:{code.co_firstlineno}: "
            "the file has changed since it was imported, or the function was given other code; start again"
        )
    return found[0]


def _was_compiled_from(lines: tuple[str, ...], code: types.CodeType) -> bool:
    """Whether these lines give this code; pytest adds to code that asserts something, which is taken for granted."""
    return any(name.startswith("@py_") for name in code.co_varnames) or code in _codes(lines, code.co_flags & _FUTURE)


@lru_cache(maxsize=256)
def _codes(lines: tuple[str, ...], flags: int) -> frozenset[types.CodeType]:
    """All the code that the compiler makes of a file."""
    found: list[types.CodeType] = [compile("".join(lines), "", "exec", flags, dont_inherit=True)]
    for code in found:
        found += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return frozenset(found)


@lru_cache(maxsize=256)
def _functions_by_line(lines: tuple[str, ...]) -> dict[int, list[FunctionNode]]:
    """The functions of a file by the line at which their code starts."""
    try:
        tree = gast.parse("".join(lines))
    except SyntaxError as error:
        raise SourceError(f"the source can't be parsed: {error}") from error
    found: dict[int, list[FunctionNode]] = {}
    for node in gast.walk(tree):
        if isinstance(node, gast.FunctionDef | gast.AsyncFunctionDef | gast.Lambda):
            decorators = getattr(node, "decorator_list", None)
            first = decorators[0].lineno if decorators else node.lineno
            found.setdefault(first, []).append(node)
    return found


def _fits(node: FunctionNode, code: types.CodeType) -> bool:
    """Whether a code object was compiled from a node."""
    names = parameter_names(node.args)
    if len(names) > len(code.co_varnames) or not all(map(_same_name, code.co_varnames, names)):
        return False
    if isinstance(node, gast.Lambda):
        return code.co_name == "<lambda>" and _is_inside(code, node.body)
    return _same_name(code.co_name, node.name)


def _same_name(compiled: str, written: str) -> bool:
    """Whether names agree; the compiler mangles the private ones of a method."""
    private = written.startswith("__") and not written.endswith("__")
    return compiled == written or (private and compiled.startswith("_") and compiled.endswith(written))


def _is_inside(code: types.CodeType, body: Any) -> bool:
    """Whether all that the code does stands in this expression."""
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    return all(
        start <= (line, column) and (end_line, end_column) <= end
        for line, end_line, column, end_column in code.co_positions()
        if line and end_line and end_column and column is not None  # not the prologue, which stands nowhere
    )

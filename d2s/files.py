"""Rewrites a file: its static functions and the functions of the file that they name, the rest as it is."""

from __future__ import annotations

import copy
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import gast

from d2s.conversion import Stages, rewrite
from d2s.errors import SourceError
from d2s.transforms.context import OPERATORS
from d2s.transforms.naming import names_in
from d2s.transforms.printing import to_source

IMPORT = f"import d2s.runtime.operators as {OPERATORS}"
MARK = "to_static"


@dataclass
class ConvertedFile:
    """The new text, and for each function that was rewritten its name and its source after each pass."""

    text: str
    stages: dict[str, Stages] = field(default_factory=dict)


def convert_text(text: str, filename: str) -> ConvertedFile:
    """Rewrite the text of a file.

    Raises:
        SourceError: it is no Python, or nothing in it is made static.
    """
    try:
        tree = gast.parse(text, filename)
    except SyntaxError as error:
        raise SourceError(f"{filename}:{error.lineno}: {error.msg}") from error
    targets = _targets(tree)
    if not targets:
        raise SourceError(f"{filename}: nothing to convert: decorate a function with @d2s.{MARK}")
    result = ConvertedFile("")
    lines = text.splitlines()
    for node, owner in sorted(targets, key=lambda target: target[0].lineno, reverse=True):
        name = f"{owner}.{node.name}" if owner else node.name
        lines[node.lineno - 1 : node.end_lineno] = _converted_lines(node, owner, filename, result, name)
    lines.insert(_line_for_import(tree), IMPORT)
    result.text = "\n".join(lines) + "\n"
    return result


def _converted_lines(node: Any, owner: str | None, filename: str, result: ConvertedFile, name: str) -> list[str]:
    """The lines of a rewritten function; its decorators stand above and stay."""
    stages = result.stages[name] = []
    bare = copy.deepcopy(node)
    bare.decorator_list = []
    rewritten = rewrite(bare, filename, owner, lambda stage, tree: stages.append((stage, to_source(tree))))
    return textwrap.indent(to_source(rewritten).rstrip("\n"), " " * node.col_offset).splitlines()


def _line_for_import(tree: Any) -> int:
    """The number of lines that must come before the import: those of the docstring and of __future__."""
    last = 0
    for node in tree.body:
        is_text = isinstance(node, gast.Expr) and isinstance(node.value, gast.Constant)
        if not is_text and not (isinstance(node, gast.ImportFrom) and node.module == "__future__"):
            break
        last = node.end_lineno
    return last


# ------------------------------------------------------------------ what is to be rewritten


def _targets(tree: Any) -> list[tuple[Any, str | None]]:
    """The functions of a file to rewrite, each with the class that it is a method of."""
    known: dict[str, list[tuple[Any, str | None]]] = {}
    marked: list[tuple[Any, str | None]] = []
    for node in tree.body:
        functions = list(_functions(node))
        if functions:
            known.setdefault(node.name, []).extend(functions)
        marked += [(function, owner) for function, owner in functions if _is_marked(function)]
        if functions and _is_marked(node):
            marked += functions
    marked += [target for name in _made_static(tree) for target in known.get(name, ())]
    found: dict[Any, str | None] = {}
    while marked:
        function, owner = marked.pop()
        if function not in found:
            found[function] = owner
            marked += [target for name in sorted(names_in(function)) for target in known.get(name, ())]
            marked += known.get(owner or "", ())
    return list(found.items())


def _functions(node: Any) -> Iterator[tuple[Any, str | None]]:
    if isinstance(node, gast.FunctionDef):
        yield node, None
    elif isinstance(node, gast.ClassDef):
        yield from ((inner, node.name) for inner in node.body if isinstance(inner, gast.FunctionDef))


def _is_marked(node: Any) -> bool:
    return any(MARK in names_in(decorator) for decorator in node.decorator_list)


def _made_static(tree: Any) -> set[str]:
    """The names of functions and classes that `to_static(...)` is called on, also through a variable."""
    made_of: dict[str, set[str]] = {}
    found: set[str] = set()
    for node in gast.walk(tree):
        if isinstance(node, gast.Assign) and isinstance(node.targets[0], gast.Name):
            made_of.setdefault(node.targets[0].id, set()).update(names_in(node.value))
        if isinstance(node, gast.Call) and MARK in names_in(node.func) and node.args:
            found |= names_in(node.args[0])
    return found | {name for variable in found for name in made_of.get(variable, ())}

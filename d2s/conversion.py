"""Rewrites a live function: tree, passes, and a new function under the original's file name and lines."""

from __future__ import annotations

import copy
import types
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import gast

from d2s.errors import SourceError
from d2s.runtime import operators
from d2s.runtime.recording.locations import is_rewritten, note_rewritten
from d2s.source import function_tree
from d2s.transforms.context import OPERATORS, Context
from d2s.transforms.naming import Namer, names_in
from d2s.transforms.pipeline import CALLS_ONLY, Watch, run_passes
from d2s.transforms.printing import to_source
from d2s.transforms.visibility import show_variables


@dataclass(frozen=True)
class Conversion:
    """What a code object is rewritten to: the new code and its source for people."""

    code: types.CodeType
    source: str


_conversions: dict[tuple[str, types.CodeType, bool], Conversion] = {}
# Called with the name of each pass and the tree after it, for each function that is converted.
pass_watchers: list[Watch] = []


def convert(function: Any, calls_only: bool = False) -> Any:
    """The rewritten function, with the same globals, closure, defaults and attributes.

    `calls_only` leaves its control flow as it is.

    Raises:
        SourceError: it has no source.
    """
    if is_converted(function.__code__):
        return function
    code = conversion_of(function, calls_only).code
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    cells[OPERATORS] = types.CellType(operators)
    closure = tuple(cells[name] for name in code.co_freevars)
    new = types.FunctionType(code, function.__globals__, function.__name__, function.__defaults__, closure)
    new.__kwdefaults__ = function.__kwdefaults__
    new.__qualname__ = function.__qualname__
    new.__module__ = function.__module__
    new.__dict__.update(function.__dict__)
    return new


def is_converted(code: types.CodeType) -> bool:
    """Whether code was rewritten, here or by `d2s convert`."""
    if is_rewritten(code) or OPERATORS in code.co_names:
        return True
    return any(isinstance(constant, types.CodeType) and is_converted(constant) for constant in code.co_consts)


def conversion_of(function: Any, calls_only: bool = False) -> Conversion:
    """The rewritten code of a function, made once for each code object."""
    code = function.__code__
    key = (code.co_filename, code, calls_only)  # equal code may stand in two files
    if key not in _conversions:
        node = _definition(function)
        if is_converted(code):
            return Conversion(code, to_source(node))
        only = CALLS_ONLY if calls_only else None
        rewritten = rewrite(node, code.co_filename, _owner(code.co_qualname), _watch, only)
        new = _compile(rewritten, code)
        _conversions[key] = Conversion(new, to_source(rewritten))
        note_rewritten(new)
    return _conversions[key]


Stages = list[tuple[str, str]]  # the name of each pass, and the source after it


def headed(stages: Stages) -> Iterator[tuple[str, str]]:
    """A heading for each stage, and its source; none where the pass has changed nothing."""
    before = ""
    for name, source in stages:
        yield (f"after {name}: unchanged", "") if source == before else (f"after {name}", source)
        before = source


def stages_of(function: Any) -> Stages:
    """The source of a function after each pass.

    Raises:
        SourceError: it has no source.
    """
    code = function.__code__
    found: Stages = []
    owner = _owner(code.co_qualname)
    rewrite(_definition(function), code.co_filename, owner, lambda name, tree: found.append((name, to_source(tree))))
    return found


def _definition(function: Any) -> Any:
    """The tree of a function as a definition without decorators."""
    node = copy.deepcopy(function_tree(function))
    if isinstance(node, gast.Lambda):
        node = _named(node)
    node.decorator_list = []
    return node


def _watch(name: str, tree: Any) -> None:
    for watcher in pass_watchers:
        watcher(name, tree)


def rewrite(
    node: Any, filename: str, owner: str | None, watch: Watch | None = None, only: Collection[str] | None = None
) -> Any:
    """The rewritten definition of a function; `owner` is the class it is a method of, `watch` sees every pass.

    `only` are the names of the passes to run, if not all.
    """
    context = Context(filename, Namer(names_in(node) | {OPERATORS}), owner)
    (rewritten,) = run_passes(gast.Module([node], []), context, watch, only).body
    return rewritten


def _named(node: Any) -> Any:
    """A lambda as a function definition."""
    body = gast.copy_location(gast.Return(node.body), node.body)
    function = gast.FunctionDef("lambda_", node.args, [body], [], None, None, [])
    return gast.copy_location(function, node)


# What a rewritten function is called while it is compiled: its own name, where it is used inside, is a global.
_REWRITTEN = "_rewritten"


def _compile(function: Any, original: types.CodeType) -> types.CodeType:
    """Compile a definition as if it stood where the original stands.

    An outer function provides the free variables; a class around it, if the original is a method, mangles
    private names as the original's class does.
    """
    free = [*original.co_freevars, OPERATORS]
    owner = _owner(original.co_qualname)
    inner: Any = copy.deepcopy(function)
    show_variables(inner)
    inner.name = _REWRITTEN
    if owner is not None:
        # Underscores before the name of the class don't change how it mangles, and keep the name a global.
        owner = "_" * 8 + owner.lstrip("_")
        inner = gast.ClassDef(owner, [], [], [inner], [], [])
        free = [name for name in free if name != "__class__"]
    parameters = [gast.Name(name, gast.Param(), None, None) for name in free]
    arguments = gast.arguments(parameters, [], None, [], [], None, [])
    outer = gast.FunctionDef("_provider", arguments, [inner], [], None, None, [])
    module = gast.fix_missing_locations(gast.Module([outer], []))
    compiled = compile(gast.gast_to_ast(module), original.co_filename, "exec", dont_inherit=True)
    code = compiled
    for name in ("_provider", owner, _REWRITTEN):
        code = _inner_code(code, name) if name else code
    return _with_users_names(code, original, original)


def _with_users_names(code: types.CodeType, original: types.CodeType, scope: types.CodeType) -> types.CodeType:
    """Rewritten code whose functions are called, in tracebacks and debuggers, as in `original`.

    A function that a pass has made, such as the side of an `if`, is called as the one around it, the `scope`.
    """
    inner = {(part.co_name, part.co_firstlineno): part for part in _parts(scope)}

    def named(constant: Any) -> Any:
        if not isinstance(constant, types.CodeType):
            return constant
        found = inner.get((constant.co_name, constant.co_firstlineno))
        return _with_users_names(constant, found or original, found or scope)

    constants = tuple(map(named, code.co_consts))
    return code.replace(co_name=original.co_name, co_qualname=original.co_qualname, co_consts=constants)


def _parts(code: types.CodeType) -> list[types.CodeType]:
    return [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]


def _owner(qualname: str) -> str | None:
    """The name of the innermost class that a qualified name says a function is defined in, or one around it."""
    parts = qualname.split(".")
    classes = [name for name, inside in pairwise(parts) if "<locals>" not in (name, inside)]
    return classes[-1] if classes else None


def _inner_code(code: types.CodeType, name: str) -> types.CodeType:
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType) and constant.co_name.endswith(name):
            return constant
    raise SourceError(f"{name} was lost while it was rewritten")

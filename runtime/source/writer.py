"""Writes a module of programs as the source of an ordinary module of torch."""

from __future__ import annotations

import ast
import builtins
import inspect
import keyword
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import black

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.program import Program
from d2s.runtime.recording.capture import Capture
from d2s.runtime.source.attempts import without_attempts
from d2s.runtime.source.checks import Checks
from d2s.runtime.source.expressions import Expressions
from d2s.runtime.source.layers import Layers
from d2s.runtime.source.lines import Lines
from d2s.runtime.source.loops import with_loops
from d2s.runtime.source.modes import Variant, joined, training_of
from d2s.runtime.source.parts import Parts
from d2s.runtime.source.statements import Statements
from d2s.runtime.source.trees import Trees
from d2s.runtime.standalone.module import ROOT, StaticModule

_IMPORTS = {
    "collections": "import collections",
    "math": "import math",
    "operator": "import operator",
    "warnings": "import warnings",
    "F": "import torch.nn.functional as F",
}
_LINE_LENGTH = 100
_RESERVED = frozenset({ROOT, "torch", "nn", *_IMPORTS})


def class_name(module: StaticModule) -> str:
    """What the class of a module is called in its source."""
    words = re.sub(r"\W", "_", module.d2s_kind, flags=re.ASCII)
    name = words if words[:1].isupper() else "".join(map(str.capitalize, words.split("_")))
    return name if name.isidentifier() and name not in _RESERVED else f"{name}Module".lstrip("0123456789")


def source_of(module: StaticModule, comments: bool = False) -> str:
    """The source of a module that does what these programs do; it imports torch, and nothing of this package.

    With `comments` the lines that the statements come from stand above them, where their files are at hand.

    Raises:
        D2SError: something in the programs can't be written as source.
    """
    body = "\n".join(_Writer(module, comments).lines())
    tree = ast.parse(body)
    _check_hidden(tree)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imports = [line for name, line in _IMPORTS.items() if name in used and name != "F"]
    of_torch = ["import torch", *([_IMPORTS["F"]] if "F" in used else []), "from torch import nn"]
    text = "\n".join([*imports, "", *of_torch, "", "", body])
    return black.format_str(text, mode=black.Mode(line_length=_LINE_LENGTH))


def _check_hidden(tree: ast.AST) -> None:
    """Refuse source that calls a function of Python's, or names a type, where a parameter has that name."""
    for method in ast.walk(tree):
        if isinstance(method, ast.FunctionDef):
            named = {node.id for node in ast.walk(method) if isinstance(node, ast.Name) and node.id in dir(builtins)}
            parameters = {one.arg for one in (*method.args.args, *method.args.kwonlyargs)}
            for name in named & parameters & _functions_in(method):
                raise D2SError(f"a parameter called {name!r} hides what the source needs: rename it")


def _functions_in(method: ast.FunctionDef) -> set[str]:
    """The names that stand for functions and types of Python's."""
    called = [node.func for node in ast.walk(method) if isinstance(node, ast.Call)]
    compared = [node for node in ast.walk(method) if isinstance(node, ast.Compare)]
    types = [node.comparators[0] for node in compared if isinstance(node.left, ast.Call)]
    raised = [node.type for node in ast.walk(method) if isinstance(node, ast.ExceptHandler)]
    return {node.id for node in (*called, *types, *raised) if isinstance(node, ast.Name)}


class _Writer:
    def __init__(self, module: StaticModule, comments: bool):
        self._module = module
        self._trees = Trees(_no_tensor, _no_tensor)
        captures = [one.capture for one in module.programs]
        self._captures = [replace(one, program=without_attempts(one.program)) for one in captures]
        self._layers = Layers(module, self._captures)
        self._parts = Parts(module, self._layers)
        self._checks = Checks(self._parts.place, self._trees)
        self._lines = Lines(comments)

    def lines(self) -> list[str]:
        """The lines of the class."""
        lines = self._lines
        with lines.under(f"class {class_name(self._module)}(nn.Module):"):
            with lines.under("def __init__(self):"):
                lines.line("super().__init__()")
                for statement in self._parts.statements():
                    lines.line(statement)
            self._forward(joined(map(self._variant, self._captures)))
        return lines.lines

    def _variant(self, capture: Capture) -> Variant:
        arguments = tuple(self._checks.of_arguments(capture))
        return Variant(self._layers.called(capture), arguments, training_of(capture))

    def _forward(self, variants: list[Variant]) -> None:
        if len(variants) == 1:
            with self._method("forward"):
                for check in _assumed(variants[0]):
                    self._lines.line(f"assert {check}")
                self._body(variants[0].program)
            return
        with self._method("forward"):
            for number, variant in enumerate(variants, 1):
                with self._lines.under(f"if {' and '.join(_assumed(variant)) or 'True'}:"):
                    self._lines.line(f"return self.forward_{number}({self._passed_on()})")
            self._lines.line('raise ValueError("this was captured for other arguments, or in another mode")')
        for number, variant in enumerate(variants, 1):
            with self._method(f"forward_{number}"):
                self._body(variant.program)

    @contextmanager
    def _method(self, name: str) -> Iterator[None]:
        self._lines.line("")
        with self._lines.under(f"def {name}({self._signature()}):"):
            yield

    def _body(self, program: Program) -> None:
        program = with_loops(program)
        reserved = {*_RESERVED, *self._module.d2s_signature.parameters}
        expressions = Expressions(program, reserved, self._parts.place, _no_tensor)
        for value in expressions.read_first:
            self._lines.line(f"{expressions.name(value)} = {ast.unparse(expressions.source_of(value))}")
        Statements(program, expressions, self._lines).print_body()

    def _signature(self) -> str:
        for name in self._module.d2s_signature.parameters:
            if name in _RESERVED or keyword.iskeyword(name):
                raise D2SError(f"a parameter can't be called {name!r} in source: rename it before this is captured")
        parameters = [inspect.Parameter(ROOT, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        for one in self._module.d2s_signature.parameters.values():
            has_default = one.default is not one.empty
            default = _Written(ast.unparse(self._trees.tree(one.default))) if has_default else one.empty
            parameters.append(one.replace(default=default, annotation=one.empty))
        return re.sub(r"^\(|\)$", "", str(inspect.Signature(parameters)))

    def _passed_on(self) -> str:
        """The arguments of a call as they are passed to another method that takes the same."""
        kinds = inspect.Parameter
        forms: dict[Any, str] = {
            kinds.VAR_POSITIONAL: "*{0}",
            kinds.VAR_KEYWORD: "**{0}",
            kinds.KEYWORD_ONLY: "{0}={0}",
        }
        given = self._module.d2s_signature.parameters.values()
        return ", ".join(forms.get(one.kind, "{0}").format(one.name) for one in given)


def _assumed(variant: Variant) -> list[str]:
    of_mode = {None: [], True: ["self.training"], False: ["not self.training"]}[variant.training]
    return [*of_mode, *variant.arguments]


class _Written:
    """A default value that is shown as it is written."""

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _no_tensor(thing: object) -> ast.expr:
    raise D2SError(f"a {type(thing).__name__} can't be written where it is needed")

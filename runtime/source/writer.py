"""Writes a module of programs as the source of an ordinary module of torch."""

from __future__ import annotations

import ast
import inspect
import re

import black

from d2s.runtime.backend.execution import Executable
from d2s.runtime.errors import D2SError
from d2s.runtime.source.expressions import Expressions
from d2s.runtime.source.layers import Layers
from d2s.runtime.source.lines import Lines
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
    kind = module.d2s_kind
    return kind if kind[:1].isupper() else "".join(part.capitalize() for part in kind.split("_"))


def source_of(module: StaticModule, comments: bool = False) -> str:
    """The source of a module that does what these programs do; it imports torch, and nothing of this package.

    With `comments` the lines that the statements come from stand above them, where their files are at hand.

    Raises:
        D2SError: something in the programs can't be written as source.
    """
    body = "\n".join(_Writer(module, comments).lines())
    tree = ast.parse(body)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    imports = [line for name, line in _IMPORTS.items() if name in used and name != "F"]
    of_torch = ["import torch", *([_IMPORTS["F"]] if "F" in used else []), "from torch import nn"]
    text = "\n".join([*imports, "", *of_torch, "", "", body])
    return black.format_str(text, mode=black.Mode(line_length=_LINE_LENGTH))


class _Writer:
    def __init__(self, module: StaticModule, comments: bool):
        self._module = module
        self._comments = comments
        self._parts = Parts(module, Layers(module))
        self._lines = Lines(comments)

    def lines(self) -> list[str]:
        lines = self._lines
        with lines.under(f"class {class_name(self._module)}(nn.Module):"):
            with lines.under("def __init__(self):"):
                lines.line("super().__init__()")
                for statement in self._parts.statements():
                    lines.line(statement)
            lines.line("")
            self._forward()
        return lines.lines

    def _forward(self) -> None:
        programs = self._module.programs
        if len(programs) != 1:
            raise D2SError("only one program at a time can be written as source")
        with self._lines.under(f"def forward({self._signature()}):"):
            self._body(programs[0])

    def _body(self, executable: Executable) -> None:
        reserved = {*_RESERVED, *self._module.d2s_signature.parameters}
        expressions = Expressions(executable.program, reserved, self._parts.place, _no_tensor)
        for value in expressions.read_first:
            self._lines.line(f"{expressions.name(value)} = {ast.unparse(expressions.source_of(value))}")
        Statements(executable.program, expressions, self._lines).print_body()

    def _signature(self) -> str:
        trees = Trees(_no_tensor, _no_tensor)
        parameters = [inspect.Parameter(ROOT, inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        for one in self._module.d2s_signature.parameters.values():
            default = one.default if one.default is one.empty else _Written(ast.unparse(trees.tree(one.default)))
            parameters.append(one.replace(default=default, annotation=one.empty))
        return re.sub(r"^\(|\)$", "", str(inspect.Signature(parameters)))


class _Written:
    """A default value that is shown as it is written."""

    def __init__(self, text: str):
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _no_tensor(thing: object) -> ast.expr:
    raise D2SError(f"a {type(thing).__name__} can't be written where it is needed")

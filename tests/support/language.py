"""The features of the language: small functions and modules, each with inputs that take different ways through it."""

from __future__ import annotations

import copy
import io
import random
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import torch
from compare import failed_runs, gradients, is_error, outcome, same, tensors_in
from loading import load_module

import d2s


@dataclass(frozen=True)
class Feature:
    """One feature: `thing` is a function, or a module's class; `eager` and `missing` say why it isn't captured.

    `eager` is a reason for good, `missing` is one for now; `code` is what is raised then.
    """

    group: str
    what: str
    thing: Any
    inputs: list[tuple[Any, ...]]
    ways: int
    eager: str
    missing: str
    code: str
    grad: bool
    programs: int

    @property
    def name(self) -> str:
        return str(self.thing.__name__)

    @property
    def status(self) -> str:
        return "eager by design" if self.eager else "not yet" if self.missing else "captured"


FEATURES: list[Feature] = []
_ROOT = Path(__file__).parents[2]
_DOCUMENT = _ROOT / "docs" / "language.md"
_MARK = "<!-- features -->\n"


def load() -> list[Feature]:
    """All features, from `tests/language/features`."""
    for path in sorted((_ROOT / "tests" / "language" / "features").glob("*.py")) if not FEATURES else ():
        load_module(path, f"features.{path.stem}", register=True)
    return FEATURES


def document() -> tuple[str, str]:
    """`docs/language.md` as it is, and as it should be."""
    text = _DOCUMENT.read_text()
    return text, text.split(_MARK)[0] + _MARK + table()


def write_document() -> None:
    """Bring `docs/language.md` up to date."""
    _DOCUMENT.write_text(document()[1])


def feature(
    what: str,
    *inputs: Any,
    ways: int = 2,
    eager: str = "",
    missing: str = "",
    code: str = "",
    grad: bool = False,
    programs: int = 1,
) -> Callable[[Any], Any]:
    """Put what follows among the features: `inputs` are its arguments, one or a tuple of several.

    They must give at least as many different outcomes as there are `ways`. With `grad`, gradients are compared too.
    `programs` is more than one where the Python state that a call meets isn't the one that it leaves.
    """

    def register(thing: Any) -> Any:
        group = thing.__module__.rsplit(".", 1)[-1]
        given = [i if isinstance(i, tuple) else (i,) for i in inputs]
        FEATURES.append(Feature(group, what, thing, given, ways, eager, missing, code, grad, programs))
        return thing

    return register


def made(thing: Any) -> Any:
    """The function, or a module of the class, always with the same parameters."""
    if not isinstance(thing, type):
        return thing
    torch.manual_seed(1)
    return thing()


def observe(function: Callable[..., Any], args: tuple[Any, ...], grad: bool = False) -> Any:
    """What a call returns or raises, prints, leaves in its arguments, and the gradients of its answer."""
    args = copy.deepcopy(args)
    for tensor in tensors_in(args) if grad else ():
        tensor.requires_grad_(tensor.is_floating_point())
    torch.manual_seed(0)
    random.seed(0)
    numpy.random.seed(0)
    printed = io.StringIO()
    with redirect_stdout(printed):
        answer = _used_up(outcome(function, *args))
    found = gradients(answer, args) if grad else []
    return answer, printed.getvalue(), args, found


def _used_up(answer: Any) -> Any:
    """An answer with the items of an iterator in its place, and its type: iterators can't be compared."""
    if type(answer) is tuple:
        return tuple(map(_used_up, answer))
    return (type(answer), list(answer)) if isinstance(answer, Iterator) else answer


def _state(module: torch.nn.Module) -> dict[str, Any]:
    own = {name: value for name, value in vars(module).items() if name[0] != "_" and name != "forward"}
    return {**own, **module.state_dict()}


def check_feature(given: Feature) -> None:
    """Compare eager with the static function on all inputs, also in reverse order: one program for all of them."""
    for inputs in (given.inputs, given.inputs[::-1]):
        eager, static = made(given.thing), d2s.to_static(made(given.thing), full_graph=True)
        seen: list[Any] = []
        raised = 0
        for args in inputs:
            want, got = (observe(function, args, given.grad) for function in (eager, static))
            assert same(want, got), f"{got} instead of {want}"
            if isinstance(given.thing, type):
                assert same(_state(eager), _state(static)), "the module is not as eager leaves it"
            raised += is_error(want[0])
            if not any(same(want, other) for other in seen):
                seen.append(want)
        assert len(seen) >= given.ways, "the inputs take too few ways"
        function = static.forward if isinstance(given.thing, type) else static
        assert failed_runs(function) <= raised, "a run has failed, and eager gave the answer"
        programs = function.programs
        assert len(programs) == given.programs, f"{len(programs)} programs for one signature"


def table() -> str:
    """The features as the tables of `docs/language.md`, one a group."""
    lines: list[str] = []
    for group in dict.fromkeys(feature.group for feature in load()):
        lines += [f"\n## {group.capitalize()}\n", "| feature | | |", "|---|---|---|"]
        for given in FEATURES:
            if given.group == group:
                reason = given.eager or given.missing
                lines.append(f"| {given.what} | {given.status} | {reason}{f' ({given.code})' if reason else ''} |")
    return "\n".join(lines) + "\n"

"""The commands that run code of the user's: `d2s run`, `d2s explain` and `d2s inspect`."""

from __future__ import annotations

import inspect
import runpy
import sys
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.syntax import Syntax

from d2s.api import original, to_static
from d2s.conversion import headed, stages_of
from d2s.errors import D2SError
from d2s.explanation import Explanation, explain, noting
from d2s.runtime.recording.locations import is_own
from d2s.static import StaticPartial
from d2s.targets import load_target, parse_inputs, require_file


def run(path: Path, arguments: Sequence[str]) -> None:
    """Run a script as `python path arguments...` does, and tell in the end what became of its static functions.

    Raises:
        D2SError: there is no such file.
        SystemExit: the script ends so.
        Exception: what the script raises.
    """
    require_file(path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    found = Explanation()
    try:
        with noting(found):
            runpy.run_path(str(path), run_name="__main__")
    finally:
        sys.stdout.flush()
        Console(stderr=True).print(str(found), markup=False, soft_wrap=True)


def show_explanation(target: str, inputs: Sequence[str]) -> None:
    """Print what of a call is captured, and what runs in eager, where, why, and what to change."""
    arguments, specs = parse_inputs(inputs)
    static = to_static(as_it_was(target), input_spec=specs)
    with telling_failures(target):
        found = explain(static, *arguments)
    Console().print(str(found), markup=False, soft_wrap=True)


def as_it_was(target: str) -> Any:
    """What a target names, not static if the file has made it so."""
    found = original(load_target(target))
    if isinstance(found, torch.nn.Module):
        found.forward = original(found.forward)
    return found


def _function_of(static: Any) -> Any:
    """The function that a static form was made of."""
    if isinstance(static, StaticPartial):
        return _function_of(static.func)
    return getattr(static, "__func__", static).function


def show_stages(target: str, inputs: Sequence[str]) -> None:
    """Print the source of a function, what each pass makes of it, its program, and the function that runs.

    Raises:
        D2SError: it can't be captured; what comes before is printed.
    """
    arguments, specs = parse_inputs(inputs)
    static = to_static(as_it_was(target), input_spec=specs, full_graph=True)
    static = getattr(static, "forward", static)
    function = _function_of(static)
    console = Console()
    if is_own(function.__code__.co_filename):
        raise D2SError(f"{target}: is not written in Python")
    stages = stages_of(function)
    show_text(console, "source", textwrap.dedent(inspect.getsource(function.__code__)))
    for head, text in headed(stages):
        show_text(console, head, text)
    with telling_failures(target):
        executable = static.concrete_program(*arguments)
    show_text(console, "program", str(executable))
    show_text(console, "guards", executable.guard_code)
    show_text(console, "function", executable.code)


@contextmanager
def telling_failures(target: str) -> Iterator[None]:
    """Around a call of the target: what it raises is told in one line."""
    try:
        yield
    except D2SError:
        raise
    except Exception as error:
        notes = " ".join(line.strip() for note in getattr(error, "__notes__", []) for line in note.splitlines())
        told = f"{target} raises {type(error).__name__}: {error}" + (f" ({notes})" if notes else "")
        raise D2SError(told) from error


def show_text(console: Console, head: str, text: str) -> None:
    """A heading and a text: in colour on a terminal, plain in a pipe."""
    console.print(f"# {head}", style="bold", markup=False, highlight=False)
    if console.is_terminal:
        console.print(Syntax(text.rstrip(), "python", background_color="default", word_wrap=True))
    elif text:
        sys.stdout.write(text.rstrip() + "\n")
    sys.stdout.write("\n")

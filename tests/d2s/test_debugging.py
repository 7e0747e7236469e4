"""Errors show the user's file, line and function; a debugger stops at the user's lines, with the user's variables."""

from __future__ import annotations

import io
import os
import pdb
import traceback
from pathlib import Path
from typing import Any

import pytest
import torch
from compare import same

import d2s
from d2s.runtime.recording import recorder
from d2s.runtime.recording.locations import note_rewritten


def branching(x, scale):
    unused = x + 1  # noqa: F841
    y = x * 2
    for t in x:
        z = t * scale
        if y.sum() > 0:
            k = 3
            y = y + z * k
        else:
            y = y - 1
    while y.sum() < 5:
        y = y + 1
    return y


def indexing(x, index):
    def pick(y):
        return y[index] * 2

    if x.sum() > 0:
        x = x + 1
        while x.sum() < 10:
            x = x + pick(x)
    return x


FIRST = branching.__code__.co_firstlineno


def debug(commands: list[str], function: Any, *args: Any) -> tuple[Any, str]:
    """What a function returns under a debugger, and what the debugger says."""
    said = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("\n".join([*commands, "continue"]) + "\n"), stdout=said, nosigint=True)
    debugger.use_rawinput = False
    return debugger.runcall(function, *args), said.getvalue()


@pytest.mark.parametrize(
    ("offset", "variables"),
    [
        (7, {"scale": "2.0", "unused.shape": "torch.Size([3])", "k": "3"}),
        (9, {"scale": "2.0", "z.shape": "torch.Size([])", "x.shape": "torch.Size([3])"}),
        (11, {"unused.shape": "torch.Size([3])"}),
    ],
)
def test_a_breakpoint_in_a_branch_or_loop_stops_while_capturing(offset, variables):
    static = d2s.to_static(branching, full_graph=True)
    commands = [f"tbreak {__file__}:{FIRST + offset}", "continue", "where", *(f"p {name}" for name in variables)]
    answer, said = debug(commands, static, torch.ones(3), 2.0)
    assert f"{Path(__file__).name}({FIRST + offset})branching()" in said
    assert all(f"(Pdb) {value}\n" in said for value in variables.values()), said
    assert same(answer, branching(torch.ones(3), 2.0))


def test_an_error_of_a_run_shows_the_line_and_the_function():
    static = d2s.to_static(indexing, full_graph=True)
    x = torch.ones(3)
    assert same(static(x, torch.tensor(1)), indexing(x, torch.tensor(1)))
    with pytest.raises(IndexError) as caught:
        static(x, torch.tensor(7))
    # The function itself was run in the place of the program, which has done nothing yet.
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (last.filename, last.name, last.line) == (__file__, "pick", "return y[index] * 2")


def test_an_error_of_a_run_that_has_drawn_shows_the_line():
    def draws(x, index):
        return indexing(x + torch.rand(3) * 0, index)

    static = d2s.to_static(draws, full_graph=True)
    x = torch.ones(3)
    assert same(static(x, torch.tensor(1)), indexing(x, torch.tensor(1)))
    with pytest.raises(IndexError) as caught:
        static(x, torch.tensor(7))
    (note,) = caught.value.__notes__
    line = indexing.__code__.co_firstlineno + 2
    assert note == f'  File "{__file__}", line {line}, in pick\n    return y[index] * 2'


def test_a_traceback_of_a_capture_names_the_users_functions():
    def refused(x):
        if x.sum() > 0:
            for t in x:
                x = x + (len(os.getcwd()) if t > 0 else 0)
        return x

    with pytest.raises(d2s.ConversionError) as caught:
        d2s.to_static(refused, full_graph=True)(torch.ones(2))
    assert caught.value.__cause__ is not None
    frames = traceback.extract_tb(caught.value.__cause__.__traceback__)
    names = [frame.name for frame in frames if frame.filename == __file__]
    assert len(names) > 2 and set(names) <= {"refused", "<lambda>"}


def test_functions_inside_are_called_as_in_eager():
    def outer(x):
        if x.sum() > 0:
            x = x + 1

        def inner(x):
            return x

        names.append((inner.__name__, inner.__qualname__))
        return x

    names: list[tuple[str, str]] = []
    d2s.to_static(outer)(torch.ones(2))
    outer(torch.ones(2))
    assert names[0] == names[1]


def test_an_error_of_torch_that_is_caught_has_eagers_words_and_is_not_logged(capfd):
    def caught(x, y):
        try:
            return x @ y
        except RuntimeError as error:
            return str(error), type(error).__name__

    pairs = [(torch.ones(2, 3), torch.ones(2, 3)), (torch.ones(2, 3), torch.ones(4)), (torch.ones(2), torch.ones(2))]
    static = d2s.to_static(caught, full_graph=True)
    for x, y in pairs:
        assert same(static(x, y), caught(x, y))
    assert capfd.readouterr() == ("", "")


def test_what_only_fakes_can_not_do_runs_in_eager(monkeypatch):
    infer = recorder.infer

    def unlike(world: Any, watch: Any, func: Any, *rest: Any) -> Any:
        if func is torch.relu:
            raise ValueError("no such kernel")
        return infer(world, watch, func, *rest)

    note_rewritten(unlike.__code__)  # else it is taken for code of the user's
    monkeypatch.setattr(recorder, "infer", unlike)
    with pytest.raises(d2s.ConversionError, match="D2S405.*no such kernel"):
        d2s.to_static(lambda x: torch.relu(x), full_graph=True)(torch.ones(2))

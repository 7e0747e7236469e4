"""Functions of the user's that a library or code in C calls: rewritten, or noticed and refused."""

from __future__ import annotations

import bisect
import contextvars
import functools
import heapq
import itertools
import json
import operator
import re
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import language
import pytest
import torch
from compare import outcome, same

import d2s
from d2s.runtime.recording import net
from d2s.runtime.recording.recorder import active_recorder

SEEN: list[Any] = []


def noted(thing, other=None):
    SEEN.append(thing)
    return -thing if isinstance(thing, int) else thing


def upper(match):
    SEEN.append(match.group())
    return match.group().upper()


def table_of(pairs):
    SEEN.append(len(pairs))
    return pairs


CALLS: dict[str, Callable[[], Any]] = {
    "re.sub": lambda: re.sub("a", upper, "banana"),
    "a pattern": lambda: re.compile("n").subn(upper, "banana"),
    "bisect": lambda: bisect.bisect([1, 2, 3], -2, key=noted),
    "heapq": lambda: heapq.nsmallest(2, [3, 1, 2], key=noted),
    "json": lambda: json.loads('{"a": 2}', object_hook=table_of),
    "groupby": lambda: [(key, list(group)) for key, group in itertools.groupby([1, 1, 2], noted)],
    "accumulate": lambda: list(itertools.accumulate([1, 2, 3], noted)),
    "operator.call": lambda: operator.call(noted, 3),
    "cmp_to_key": lambda: sorted([3, 1], key=functools.cmp_to_key(lambda a, b: noted(a) - noted(b))),
}


@pytest.mark.parametrize("name", CALLS)
def test_what_calls_at_once_calls_at_each_run(name: str) -> None:
    compute = CALLS[name]

    def calls(x):
        return x * len(SEEN), compute()

    static = d2s.to_static(calls, full_graph=True)
    found = []
    for function in (calls, static):
        SEEN.clear()
        answers = [outcome(function, torch.ones(2)) for _ in range(3)]
        found.append((answers, list(SEEN)))
    assert same(found[0], found[1])
    assert len(SEEN) >= 3


def shouted(number):
    print("called with", number)
    return number * 2


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_another_call_is_noticed(capsys: pytest.CaptureFixture[str]) -> None:
    def calls(x):
        return x * contextvars.copy_context().run(shouted, 3)

    static = d2s.to_static(calls)
    for _ in range(3):
        assert same(static(torch.ones(2)), torch.full((2,), 6.0))
    assert capsys.readouterr().out.count("called with 3") == 3
    with pytest.raises(d2s.ConversionError, match="D2S311.*shouted"):
        d2s.to_static(calls, full_graph=True)(torch.ones(2))


class Answering:
    """Says something to all that it is asked, and notes it."""

    def __init__(self):
        self.asked = []

    def __getattr__(self, name):
        self.asked.append(name)
        return 5

    def __call__(self, x):
        return x * 2

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return None


def test_an_object_is_asked_for_nothing_but_what_the_code_says() -> None:
    thing = Answering()

    def calls(x):
        with thing as entered:
            return entered(x) * thing.factor

    static = d2s.to_static(calls, full_graph=True)
    assert same(static(torch.ones(2)), torch.full((2,), 10.0))
    assert same(static(torch.ones(2)), torch.full((2,), 10.0))
    assert thing.asked == ["factor", "factor"]


SAMPLE = [feature for feature in language.load() if not feature.eager and not feature.missing][::12]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there each recording is watched")
@pytest.mark.parametrize("feature", SAMPLE, ids=lambda feature: feature.name)
def test_no_code_runs_as_it_is(feature: language.Feature) -> None:
    def started(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "call" and (recorder := active_recorder()) is not None:
            net.tell(recorder, frame)

    static = d2s.to_static(language.made(feature.thing), full_graph=True)
    capture = static.forward if isinstance(static, torch.nn.Module) else static
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.setprofile(started)
        try:
            program = capture.concrete_program(*feature.inputs[0])
        finally:
            sys.setprofile(None)
    assert program is not None

"""A capture that fails leaves nothing behind: whatever it was doing, all is as it was and eager's answer follows."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from compare import detached, same
from modules import BOTH_WAYS, state_of
from torch import nn
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

import d2s
from d2s import programs
from d2s.runtime.errors import RUNTIME_FOLDER
from d2s.runtime.recording import capture, recorder
from d2s.runtime.recording.recorder import Recorder

history: list[Any] = [0]
total: Any = 0
settings = {"scale": 2.0}


class Double(torch.autograd.Function):
    """With a backward of its own."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 3


class Net(nn.Module):
    """Writes to whatever can be written, under modes of torch and decisions on tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5))
        self.register_buffer("seen", torch.zeros(()))
        self.calls = 0
        self.names = ["first"]
        self.layer[0].register_forward_hook(lambda module, args, answer: answer * self.factor(answer))

    def factor(self, x):
        return 2 if x.sum() > 0 else 3

    def forward(self, x):
        global total
        self.calls += 1
        self.names[0] = "second"
        self.seen += x.mean().detach()
        total = total + 1
        history[0] = history[0] + 2
        x = Double.apply(x)
        if x.sum() > 0:
            self.state = self.layer(x)
            settings["scale"] = 3.0
            with torch.no_grad():
                self.seen.mul_(settings["scale"])
        else:
            self.state = x - 1
            settings["offset"] = 1.0
            with torch.autocast("cpu", torch.bfloat16):
                x = (x @ x.t())[:, :1].float() + x
        while x.abs().sum() < 100:
            x = x * 2 + torch.rand(())
            self.names[0] = "third"
        with torch.inference_mode():
            y = x.detach() * 2
        return x * self.state + y.clone(), random.random()


def snapshot(net: nn.Module) -> Any:
    """All that a call could leave changed: the user's objects, random numbers, torch's modes and torch's classes."""
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_autocast_enabled("cpu")
    stacks = len(_get_current_function_mode_stack()), len(_get_current_dispatch_mode_stack())
    kinds = torch.nn.Module, torch.autograd.Function, torch.autocast, torch.nn.modules.module, torch.Tensor, random
    patched = [{name: id(item) for name, item in vars(kind).items() if callable(item)} for kind in kinds]
    generators = torch.get_rng_state(), list(random.getstate()[1])
    users = detached([state_of(net), list(history), total, dict(settings)])
    return copy.deepcopy(((*modes, *stacks, str(torch.get_default_dtype())), patched, generators, users))


def begin() -> Any:
    """A module, in a world as new."""
    global total
    torch.manual_seed(1)
    random.seed(1)
    history[:], total = [0], 0
    settings.clear()
    settings["scale"] = 2.0
    return Net()


def eager_run(x: torch.Tensor) -> Any:
    """What eager answers, and the world after it."""
    net = begin()
    return detached(net(x)), snapshot(net)


class Interrupt(BaseException):
    """As when a user presses Ctrl-C."""


def failing_at(step: int, original: Callable[..., Any], kind: type[BaseException]) -> tuple[Callable[..., Any], list]:
    """A function that fails at its `step`-th call as if there were a bug in d2s, and a list of its calls."""
    calls: list[int] = []
    names: dict[str, Any] = {"original": original, "calls": calls, "step": step, "kind": kind}
    source = (
        "def failing(*args, **kwargs):\n"
        "    calls.append(1)\n"
        "    if len(calls) == step:\n"
        "        raise kind('injected')\n"
        "    return original(*args, **kwargs)\n"
    )
    exec(compile(source, f"{RUNTIME_FOLDER}recording/injected.py", "exec"), names)
    return names["failing"], calls


PLACES = [(Recorder, "emit"), (recorder, "infer")]
at_each_place = pytest.mark.parametrize("place", PLACES, ids=lambda place: place[1])


def failing_captures(monkeypatch: Any, place: Any, kind: type[BaseException], x: torch.Tensor) -> Iterator[Any]:
    """For each call of a function of d2s in turn: a static module, and what its call did when that one failed."""
    step = 0
    while True:
        step += 1
        net = begin()
        static = d2s.to_static(net)
        before = snapshot(static)
        failing, calls = failing_at(step, getattr(*place), kind)
        with monkeypatch.context() as patch:
            patch.setattr(*place, failing)
            answer = outcome_of_any(static, x)
        if len(calls) < step:
            break
        yield static, before, answer
    assert step > 30, "too few places"


def outcome_of_any(function: Any, *args: Any) -> Any:
    try:
        return detached(function(*args))
    except BaseException as error:
        return error


@at_each_place
def test_an_interrupt_at_any_op_leaves_all_as_it_was(monkeypatch, place):
    for static, before, answer in failing_captures(monkeypatch, place, Interrupt, BOTH_WAYS[0]):
        assert isinstance(answer, Interrupt)
        assert same(snapshot(static), before)


@at_each_place
@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_bug_at_any_op_leaves_eagers_answer(monkeypatch, place):
    want = eager_run(BOTH_WAYS[1])
    for static, _, answer in failing_captures(monkeypatch, place, RuntimeError, BOTH_WAYS[1]):
        assert same((answer, snapshot(static)), want)


WHOLE_STEPS = [(programs, "convert"), (capture, "verify"), (capture, "program_guards"), (programs, "Executable")]


@pytest.mark.parametrize("place", WHOLE_STEPS, ids=lambda place: place[1])
def test_a_bug_outside_of_the_recording_leaves_eagers_answer_too(monkeypatch, place):
    want = eager_run(BOTH_WAYS[0])
    static = d2s.to_static(begin())
    failing, _ = failing_at(1, getattr(*place), ValueError)
    with monkeypatch.context() as patch, pytest.warns(d2s.FallbackWarning, match="D2S901.*ValueError: injected"):
        patch.setattr(*place, failing)
        answer = detached(static(BOTH_WAYS[0]))
    assert same((answer, snapshot(static)), want)

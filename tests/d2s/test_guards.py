"""A program runs only under what it assumed: no change of what was read gives a stale answer."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from compare import same
from torch import nn

import d2s

SIZE = 2
TABLE: Any = {"a": 1, "b": [1, 2]}
settings: Any = types.ModuleType("settings")
settings.size = 3
settings.inner = types.ModuleType("inner")
settings.inner.size = 4


class Config:
    size = 5
    sizes = [1, 2]


@dataclass
class Options:
    size: int = 6
    names: list[str] = field(default_factory=lambda: ["a"])


options = Options()


FACTORS: Any = (1, [2])


def helper(x: Any, factors: Any = FACTORS) -> Any:
    return x * SIZE * factors[1][0]


class Part(nn.Module):
    gain = 7

    def __init__(self) -> None:
        super().__init__()
        self.mode = "double"
        self.sizes = [1, 2]
        self.scale = 3.0
        self.unused = "whatever"

    def forward(self, x):
        if x.sum() > 0 and self.mode == "double":
            x = x * 2
        return x * self.gain + len(self.sizes) * self.scale


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.part = Part()
        self.parts = nn.ModuleList([Part(), Part()])
        self.drop = nn.Dropout(0.0)
        self.other = Part()

    def forward(self, x):
        x = self.part(x)
        for part in self.parts:
            x = part(x)
        if hasattr(self, "late"):
            x = x + 100
        return self.drop(x)


def changes_of_functions() -> Any:
    def set_global(name: str, value: Any) -> None:
        globals()[name] = value

    outer = {"factor": 1}
    count = 1

    def in_branch(x):
        if x.sum() > 0:
            return x * SIZE
        return x

    def with_cell(x):
        return x * outer["factor"] * count

    def change_cell() -> None:
        nonlocal count
        outer["factor"] = 3
        count = 4

    return [
        (in_branch, lambda: set_global("SIZE", 9)),
        (helper, lambda: set_global("SIZE", 11)),
        (lambda x: helper(x), lambda: FACTORS[1].__setitem__(0, 5)),
        (lambda x: helper(x) + 0, lambda: set_global("SIZE", 12)),
        (lambda x: x * settings.size, lambda: setattr(settings, "size", 8)),
        (lambda x: x * settings.inner.size, lambda: setattr(settings.inner, "size", 8)),
        (lambda x: x * Config.size, lambda: setattr(Config, "size", 8)),
        (lambda x: x * len(Config.sizes), lambda: Config.sizes.append(3)),
        (lambda x: x * options.size, lambda: setattr(options, "size", 7)),
        (lambda x: x * len(options.names[-1]), lambda: options.names.append("bc")),
        (lambda x: x * len(TABLE), lambda: TABLE.__setitem__("c", 1)),
        (lambda x: x * TABLE["b"][1], lambda: TABLE["b"].__setitem__(1, 7)),
        (lambda x: x * (2 if "d" in TABLE else 1), lambda: TABLE.__setitem__("d", 1)),
        (with_cell, change_cell),
        (lambda x: x * torch.full((2,), 1.5), lambda: torch.set_default_dtype(torch.float64)),
    ]


@pytest.mark.parametrize("number", range(len(changes_of_functions())))
def test_a_function_sees_what_was_changed(number: int) -> None:
    function, change = changes_of_functions()[number]
    static = d2s.to_static(function, full_graph=True)
    x = torch.ones(2)
    try:
        before = function(x)
        assert same(static(x), before)
        assert same(static(x), before)
        assert len(static.programs) == 1
        change()
        assert not same(function(x), before)
        assert same(static(x), function(x))
        assert len(static.programs) == 2
    finally:
        torch.set_default_dtype(torch.float32)


def _hook(module: Any, args: Any, answer: Any) -> Any:
    return answer + 1


def _use_one_twice(net: Any) -> None:
    net.part = net.parts[0]
    net.parts[0].scale = 9.0


CHANGES: list[Callable[[Net], Any]] = [
    lambda net: setattr(net.part, "mode", "plain"),
    lambda net: net.part.sizes.append(3),
    lambda net: setattr(net.parts[1], "scale", 4.0),
    lambda net: setattr(net.part, "gain", 8),
    lambda net: setattr(Part, "gain", Part.gain + 1),
    lambda net: net.parts.append(Part()),
    lambda net: net.parts.__setitem__(0, nn.Identity()),
    lambda net: setattr(net, "part", nn.ReLU()),
    _use_one_twice,
    lambda net: setattr(net, "late", True),
    lambda net: setattr(net.parts[1], "forward", lambda x: x * 5),
    lambda net: net.parts[0].register_forward_hook(_hook),
    lambda net: net.parts[0].register_forward_pre_hook(lambda module, args: (args[0] * 3,)),
    lambda net: setattr(net.drop, "p", 1.0),
]


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_module_sees_what_was_changed(number: int) -> None:
    torch.manual_seed(0)
    net, eager, x = d2s.to_static(Net(), full_graph=True), Net(), torch.ones(2)
    before = eager(x)
    assert same(net(x), before)
    for one in (eager, net):
        CHANGES[number](one)
    assert not same(eager(x), before)
    assert same(net(x), eager(x))
    assert same(net(x), eager(x))


def test_hooks_of_all_modules_are_seen() -> None:
    net, eager, x = d2s.to_static(Net(), full_graph=True), Net(), torch.ones(2)
    before = eager(x)
    assert same(net(x), before)
    handle = nn.modules.module.register_module_forward_hook(_hook)
    try:
        assert not same(eager(x), before)
        assert same(net(x), eager(x))
    finally:
        handle.remove()
    assert same(net(x), before)


def test_what_was_not_read_needs_no_program() -> None:
    net, x = d2s.to_static(Net(), full_graph=True), torch.ones(2)
    net(x)
    net.part.unused = "something else"
    net.other.scale = 8.0
    net.fresh = [1, 2, 3]
    net(x)
    assert len(net.forward.programs) == 1


def test_what_is_written_before_it_is_read_needs_no_program() -> None:
    class Writes(nn.Module):
        def forward(self, x):
            self.last = x * 2
            if x.sum() > 0:
                self.last = self.last + 1
            return self.last

    net = d2s.to_static(Writes(), full_graph=True)
    for x in (torch.ones(2), -torch.ones(2), torch.zeros(2)):
        assert same(net(x), Writes()(x))
    assert len(net.forward.programs) == 1


def test_what_one_branch_leaves_as_it_was_is_read() -> None:
    class Sometimes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.state: Any = None

        def forward(self, x):
            if x.sum() > 0:
                self.state = x * 2
            return x if self.state is None else self.state

    net, eager = d2s.to_static(Sometimes(), full_graph=True), Sometimes()
    for value in (-1.0, 1.0, -2.0, 3.0, -4.0):
        x = torch.full((2,), value)
        assert same(net(x), eager(x))


def test_another_layout_is_another_signature() -> None:
    def written(x):
        y = x.contiguous()
        y.add_(1)
        return y * 2

    static = d2s.to_static(written, full_graph=True)
    for make in (lambda: torch.ones(2, 3), lambda: torch.ones(3, 2).t()):
        x, want = make(), make()
        assert same(static(x), written(want)) and same(x, want)
    assert len(static.programs) == 2


def test_arguments_that_share_memory_are_another_signature() -> None:
    def written(flag, other):
        y = torch.ones(2)
        if flag:
            other.zero_()
        if flag:
            y = y + 1
        return y

    static = d2s.to_static(written, full_graph=True)
    for shared in (False, True, False):
        results = []
        for function in (static, written):
            memory = torch.ones(2)
            results.append(function(memory[0], memory[:1] if shared else torch.ones(1)))
        assert same(*results)
    assert len(static.programs) == 2


def test_all_variables_at_once_are_refused() -> None:
    with pytest.raises(d2s.ConversionError, match="globals"):
        d2s.to_static(lambda x: x * globals()["SIZE"], full_graph=True)(torch.ones(2))


def keeps_by_default(x, seen=[]):  # noqa: B006
    if x.sum() > 0:
        seen.append(x)
    return torch.stack(seen).sum() if seen else x


def test_a_default_that_changes_is_one_list() -> None:
    eager = types.FunctionType(keeps_by_default.__code__, globals(), "eager", ([],))
    static = d2s.to_static(keeps_by_default, full_graph=True)
    for value in (1.0, -1.0, 2.0, -1.0, 3.0):
        assert same(static(torch.tensor(value)), eager(torch.tensor(value)))


SCALES = {"scale": 2}
OFFSETS = [torch.tensor(1.0), torch.tensor(2.0)]


def by_globals(x):
    y = x * SCALES["scale"]
    if y.sum() > 0:
        y = y + OFFSETS[0]
    for offset in OFFSETS:
        y = y + offset
    return y


def test_contents_of_a_dict_and_a_list_of_tensors_that_are_only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    static = d2s.to_static(by_globals, full_graph=True)

    def check() -> None:
        for x in (torch.tensor(1.0), torch.tensor(-1.0)):
            assert same(static(x), by_globals(x))

    check()
    monkeypatch.setitem(SCALES, "scale", 5)
    check()
    OFFSETS.append(torch.tensor(4.0))
    check()
    OFFSETS[0] = torch.tensor(100.0)
    check()
    OFFSETS[0].fill_(7.0)
    check()


def test_whether_an_item_is_the_argument_itself() -> None:
    def doubled_if_it_is(x, items):
        return x * 2 if items[0] is x else x + 1

    static = d2s.to_static(doubled_if_it_is, full_graph=True)
    x, other = torch.ones(2), torch.ones(2)
    for items in ([x], [other], [x, other], [other, x]):
        assert same(static(x, items), doubled_if_it_is(x, items))

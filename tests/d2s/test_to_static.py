"""`to_static`: one program a signature, never stale, eager where a function can't be static.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import functools
import traceback
import warnings
from typing import Any

import pytest
import torch
from torch import nn

import d2s
from d2s.runtime.recording.capture import capture


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values if len(values) > 1 else values[0])


@d2s.to_static
def clamp(x, limit=2.0):
    """Clamp from above."""
    if x.sum() > limit:
        return x * limit
    return x


def test_a_program_for_each_signature() -> None:
    assert torch.equal(clamp(t(1.0, 2.0)), t(2.0, 4.0))
    assert torch.equal(clamp(t(1.0, -2.0)), t(1.0, -2.0))
    assert len(clamp.programs) == 1
    clamp(torch.ones(3))
    assert len(clamp.programs) == 2
    clamp(torch.ones(2, dtype=torch.float64))
    clamp(t(1.0, 2.0), 3.0)
    clamp(torch.ones(2, requires_grad=True))
    with torch.no_grad():
        clamp(t(1.0, 2.0))
    assert len(clamp.programs) == 6
    clamp(t(5.0, 2.0), limit=3.0)
    clamp(x=t(5.0, 2.0))
    assert len(clamp.programs) == 6
    assert (clamp.__name__, clamp.__doc__) == ("clamp", "Clamp from above.")


def test_inspection() -> None:
    program = clamp.concrete_program(torch.ones(7))
    assert "if_true" in clamp.code and "_d2s.if_(" in clamp.code
    assert "program clamp(" in str(program) and "if t1:" in program.code
    count = len(clamp.programs)
    clamp(torch.ones(7))
    assert len(clamp.programs) == count
    assert clamp.rollback()(t(1.0, 2.0)).tolist() == [2.0, 4.0]


class Scaler(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.scale = 2
        self.calls = 0
        self.total: torch.Tensor
        self.register_buffer("total", torch.zeros(2))

    def forward(self, x):
        self.calls += 1
        y = self.fc(x)
        if y.sum() > 0:
            y = y * self.scale
            self.total = self.total + y.detach()
        return y + self.calls


def programs(module: nn.Module) -> list[Any]:
    found: list[Any] = vars(module)["forward"].programs
    return found


def pair() -> tuple[Scaler, Scaler]:
    torch.manual_seed(0)
    eager, static = Scaler(), Scaler()
    static.load_state_dict(eager.state_dict())
    return eager, d2s.to_static(static, full_graph=True)


def test_modules_keep_their_type_state_and_counters() -> None:
    eager, static = pair()
    assert type(static) is Scaler and list(static.state_dict()) == list(eager.state_dict())
    for x in (t(5.0, 2.0), t(-5.0, 2.0), t(3.0, 3.0)):
        assert torch.equal(eager(x), static(x))
        assert (eager.calls, eager.total.tolist()) == (static.calls, static.total.tolist())
        assert type(static.calls) is int
    assert len(programs(static)) == 1


def test_never_stale() -> None:
    eager, static = pair()
    x = t(5.0, 2.0)
    static(x), eager(x)
    for net in (eager, static):
        net.scale = 7
    assert torch.equal(eager(x), static(x))
    for net in (eager, static):
        net.fc = nn.Linear(2, 2)
        with torch.no_grad():
            net.fc.weight.fill_(1.0)
            net.fc.bias.fill_(0.5)
    assert torch.equal(eager(x), static(x))
    with torch.no_grad():
        for net in (eager, static):
            net.fc.weight.mul_(3)
    assert torch.equal(eager(x), static(x))
    vars(static)["forward"].rollback()
    assert "forward" not in vars(static)
    assert torch.equal(eager(x), static(x))


FACTOR = 2


def test_globals_and_closures_are_guarded() -> None:
    global FACTOR
    offset = 1

    def function(x):
        return x * FACTOR + offset if x > 0 else x

    static = d2s.to_static(function, full_graph=True)
    assert static(t(3.0)) == 7
    FACTOR, offset = 5, 2
    assert static(t(3.0)) == 17
    FACTOR = 2


def test_arguments_and_globals_are_written() -> None:
    def log(x, entries, table):
        entries.append(len(entries))
        if x.sum() > 0:
            x.add_(1)
            table["positive"] = x * 2
        else:
            table["positive"] = None
        return entries

    static = d2s.to_static(log, full_graph=True)
    for values in ((1.0, 2.0), (-1.0, -2.0)):
        eager_args: list[Any] = [t(*values), [5], {"positive": 0}]
        static_args: list[Any] = [t(*values), [5], {"positive": 0}]
        log(*eager_args)
        assert static(*static_args) is static_args[1]
        assert repr(eager_args) == repr(static_args)
    assert len(static.programs) == 1


def test_what_was_written_before_an_exception_stays_written() -> None:
    def failing(x, entries):
        entries.append("before")
        if x.sum() > 0:
            raise ValueError("positive")
        return x

    static = d2s.to_static(failing, full_graph=True)
    entries: list[str] = []
    static(t(-1.0, 0.0), entries)
    entries.clear()
    with pytest.raises(ValueError, match="positive"):
        static(t(1.0, 2.0), entries)
    assert entries == ["before"]


def keyed(x, entries):
    entries.append("seen")
    return {hash(int(x.sum())): x}


def test_full_graph_raises_with_place_reason_and_remedy() -> None:
    static = d2s.to_static(keyed, full_graph=True)
    entries: list[str] = []
    line = keyed.__code__.co_firstlineno + 2
    with pytest.raises(d2s.ConversionError) as caught:
        static(t(1.0, 2.0), entries)
    message = str(caught.value)
    assert f"{__file__}:{line}: " in message
    assert "keyed can't be made static: the hash of a number" in message and "; " in message
    assert entries == [] and static.programs == []


def test_otherwise_it_runs_in_eager_with_one_warning_a_call_site() -> None:
    static = d2s.to_static(keyed)
    entries: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            assert list(static(t(1.0, 2.0), entries)) == [3]
        static(t(1.0, 2.0), entries)
    assert [w.category for w in caught] == [d2s.FallbackWarning] * 2
    assert caught[0].filename == __file__
    assert entries == ["seen"] * 4


def test_what_is_refused_again_and_again_is_not_captured_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def counted(*args: Any) -> Any:
        tries.append(1)
        return capture(*args)

    monkeypatch.setattr("d2s.programs.capture", counted)
    static = d2s.to_static(keyed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(10):
            assert list(static(t(1.0, 2.0), [])) == [3]
        assert len(tries) == 3
        assert list(static(t(1.0, 2.0, 3.0), [])) == [6]
        assert len(tries) == 4
    strict = d2s.to_static(keyed, full_graph=True)
    for _ in range(5):
        with pytest.raises(d2s.ConversionError):
            strict(t(1.0, 2.0), [])
    assert len(tries) == 9


def test_a_failed_capture_leaves_no_trace() -> None:
    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.items = [1]
            self.count = 0

        def forward(self, x):
            self.items.append(2)
            self.count += 1
            x.add_(1)
            return {hash(int(x.sum())): 0}

    net = d2s.to_static(Holder(), full_graph=True)
    x = t(1.0, 2.0)
    before = torch.get_rng_state()
    with pytest.raises(d2s.ConversionError):
        net(x)
    assert (net.items, net.count, x.tolist()) == ([1], 0, [1.0, 2.0])
    assert torch.equal(before, torch.get_rng_state())


def test_methods_callable_objects_partials_and_lambdas() -> None:
    class Gate:
        def __init__(self, bar):
            self.bar = bar

        @d2s.to_static
        def open(self, x):
            return x + self.bar if x.max() > self.bar else x

        def __call__(self, x):
            return self.open(x) * 2 if x.sum() > 0 else x

    gate = Gate(t(1.5))
    assert gate.open(t(1.0, 2.0)).tolist() == [2.5, 3.5]
    assert gate.open(t(1.0, 0.0)).tolist() == [1.0, 0.0]
    assert len(gate.open.programs) == 1
    static = d2s.to_static(gate, full_graph=True)
    assert static(t(1.0, 2.0)).tolist() == [5.0, 7.0]
    assert static(t(-1.0, 0.0)).tolist() == [-1.0, 0.0]
    assert len(static.programs) == 1
    double = d2s.to_static(lambda x: x * 2 if x.sum() > 0 else x)
    assert (double(t(1.0, 2.0)).tolist(), double(t(-1.0, 0.0)).tolist()) == ([2.0, 4.0], [-1.0, 0.0])
    assert functools.partial(clamp, limit=1.0)(t(1.0, 2.0)).tolist() == [1.0, 2.0]


def test_the_same_tensor_twice_is_another_signature() -> None:
    def add(x, y):
        x.add_(1)
        return x + y, x is y

    static = d2s.to_static(add, full_graph=True)
    x = t(1.0, 2.0)
    assert static(t(1.0, 2.0), t(1.0, 2.0))[0].tolist() == [3.0, 5.0]
    total, same = static(x, x)
    assert (total.tolist(), same) == ([4.0, 6.0], True)


def test_a_training_step_inside() -> None:
    def trained(x, y):
        net = nn.Linear(2, 1)
        with torch.no_grad():
            net.weight.fill_(0.5)
            net.bias.zero_()
        optimiser = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        losses = []
        for _ in range(3):
            optimiser.zero_grad()
            loss = (net(x) - y).pow(2).mean()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        return torch.stack(losses), net.weight.detach()

    static = d2s.to_static(trained, full_graph=True)
    for scale in (1.0, 0.1):
        x, y = torch.arange(8.0).reshape(4, 2) * scale, torch.ones(4, 1) * scale
        for want, got in zip(trained(x, y), static(x, y), strict=True):
            assert torch.equal(want, got)
    assert len(static.programs) == 1


def test_gradients_through_merges_inside_and_what_they_need() -> None:
    def penalised(x):
        y = x * 2
        if y.sum() > 0:
            y = y.detach() * 3
        z = (y * y).sum() + x.sum()
        (gradient,) = torch.autograd.grad(z, x, create_graph=True)
        return z + gradient.norm(), y.requires_grad, gradient.shape

    static = d2s.to_static(penalised, full_graph=True)
    for values in ((1.0, 2.0), (-1.0, -2.0)):
        x, x_static = t(*values).requires_grad_(), t(*values).requires_grad_()
        want, got = penalised(x), static(x_static)
        assert want[1:] == got[1:] and torch.equal(want[0], got[0])
        want[0].backward()
        got[0].backward()
        assert torch.equal(x.grad, x_static.grad)
    assert len(static.programs) == 1


def test_whether_a_tensor_has_a_gradient_is_part_of_the_signature() -> None:
    def total(x):
        return x * 2 if x.grad is None else x.grad

    static = d2s.to_static(total, full_graph=True)
    x = torch.ones(2, requires_grad=True)
    assert static(x).tolist() == [2.0, 2.0]
    x.grad = torch.full((2,), 7.0)
    assert static(x).tolist() == [7.0, 7.0]
    x.grad = torch.full((2,), 8.0)
    assert static(x).tolist() == [8.0, 8.0]
    assert len(static.programs) == 2


def test_exceptions_of_torch_name_the_users_line() -> None:
    def mismatched(x, y):
        if x.sum() > 0:
            x = x * 2
        return x[: int(y)] @ x

    static = d2s.to_static(mismatched, full_graph=True)
    assert static(t(1.0, 2.0), torch.tensor(2)) == 20
    with pytest.raises(RuntimeError) as caught:
        static(t(1.0, 2.0), torch.tensor(1))
    line = mismatched.__code__.co_firstlineno + 3
    assert traceback.extract_tb(caught.value.__traceback__)[-1].lineno == line


def test_autocast_outside_is_a_signature() -> None:
    static = d2s.to_static(lambda x: x @ x, full_graph=True)
    assert static(torch.ones(2, 2)).dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert static(torch.ones(2, 2)).dtype == torch.bfloat16
    assert len(static.programs) == 2

"""Straight-line functions captured as programs give eager's answers, gradients and effects."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from check import bind
from compare import outcome, same
from torch import nn

from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.ir.program import Call, Program, Role
from d2s.runtime.ir.sources import read
from d2s.runtime.recording.capture import capture
from d2s.runtime.recording.locations import note_rewritten

TABLE = torch.arange(6.0).reshape(3, 2)


def captured(function: Any, **arguments: Any) -> Program:
    """The program of a function that is recorded as it is, as if it were rewritten."""
    note_rewritten(function.__code__)
    return capture(function, bind(function, **arguments)).program


def run(program: Program, **arguments: Any) -> Any:
    inputs = [read(entry.source, arguments) for entry in program.inputs]
    return compile_program(program).run(*inputs)[0]


def observe(function: Callable[..., Any], **arguments: Any) -> Any:
    """The answer, the arguments afterwards, and the gradients of the answer's sum, under one seed."""
    torch.manual_seed(0)
    answer = outcome(lambda: function(**arguments))
    gradients = []
    if isinstance(answer, torch.Tensor) and answer.requires_grad:
        answer.sum().backward()
        tensors = [value for value in arguments.values() if isinstance(value, torch.Tensor)]
        modules = [value for value in arguments.values() if isinstance(value, nn.Module)]
        tensors += [parameter for module in modules for parameter in module.parameters()]
        gradients = [tensor.grad for tensor in tensors if tensor.is_leaf]
        answer = answer.detach()
    state = [v.detach() if isinstance(v, torch.Tensor) else v for v in arguments.values()]
    buffers = [list(v.buffers()) for v in arguments.values() if isinstance(v, nn.Module)]
    return answer, [v for v in state if not isinstance(v, nn.Module)], buffers, gradients


def check(function: Any, **arguments: Any) -> Program:
    """Capture on the arguments, then compare with eager on them and on others of the same signature."""
    program = captured(function, **copy.deepcopy(arguments))
    for shift in (0.0, 1.5):
        with torch.no_grad():
            others = {
                name: value + shift if isinstance(value, torch.Tensor) and value.is_floating_point() else value
                for name, value in copy.deepcopy(arguments).items()
            }
        for name, value in others.items():
            if isinstance(value, torch.Tensor):
                value.requires_grad_(arguments[name].requires_grad)
        want = observe(function, **copy.deepcopy(others))
        got = observe(lambda **given: run(program, **given), **others)
        assert same(want, got), (want, got)
    return program


def calls(program: Program) -> list[str]:
    return [op.target.__name__ for op in program.body.ops if isinstance(op, Call)]


def mlp(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return F.softmax(net(x), dim=-1)


def network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.3), nn.Linear(4, 2))


def test_mlp_with_dropout_and_batch_norm() -> None:
    program = check(mlp, net=network(), x=torch.randn(5, 3, requires_grad=True))
    roles = {str(entry.source): entry.role for entry in program.inputs}
    assert roles["net.0.weight"] is Role.PARAMETER
    assert roles["x"] is Role.ARGUMENT
    drawing = [op for op in program.body.ops if isinstance(op, Call) and op.effects.random]
    assert [op.target for op in drawing] == [F.dropout]


def normalised(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> torch.Tensor:
    known = F.batch_norm(x, mean, var)
    return known + F.batch_norm(x, mean, var, training=True) + F.instance_norm(x, mean, var)


def test_running_statistics_are_written_in_training() -> None:
    program = check(normalised, x=torch.randn(2, 3, 4), mean=torch.zeros(3), var=torch.ones(3))
    calls = [op for op in program.body.ops if isinstance(op, Call) and op.target in (F.batch_norm, F.instance_norm)]
    statistics = tuple(entry.value for entry in program.inputs if str(entry.source) in ("mean", "var"))
    assert [op.effects.writes for op in calls] == [(), statistics, statistics]


def attended(x: torch.Tensor) -> torch.Tensor:
    return F.scaled_dot_product_attention(x, x, x) + F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)


def test_attention_draws_only_for_its_dropout() -> None:
    program = check(attended, x=torch.randn(1, 2, 4, 3))
    calls = [op for op in program.body.ops if isinstance(op, Call)]
    assert [op.effects.random for op in calls if op.target is F.scaled_dot_product_attention] == [False, True]


def in_place(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    row = x[0]
    row.add_(y)
    x[1] = row * 2
    x.mul_(3).sub_(1)
    return row + x.sum()


def test_writes_through_views_reach_the_argument() -> None:
    program = check(in_place, x=torch.ones(2, 3), y=torch.arange(3.0))
    view, write = program.body.ops[0], program.body.ops[1]
    assert isinstance(view, Call) and isinstance(write, Call)
    assert view.effects.aliases == (program.inputs[0].value,)
    assert write.effects.writes == (view.result,)


def partly_without_grad(x: torch.Tensor) -> torch.Tensor:
    y = x * x
    with torch.no_grad():
        scale = y.max()
    return y / scale + y.detach() * x


def test_no_grad_inside() -> None:
    check(partly_without_grad, x=torch.tensor([1.0, 2.0], requires_grad=True))


def test_gradient_inside() -> None:
    def penalty(x: torch.Tensor) -> torch.Tensor:
        y = torch.tanh(x).sum()
        (gradient,) = torch.autograd.grad(y, x, create_graph=True)
        return y + gradient.norm()

    check(penalty, x=torch.tensor([0.1, 0.2], requires_grad=True))


def test_closures_and_globals_are_read_at_each_call() -> None:
    offset = torch.tensor([1.0, 1.0])

    def function(x: torch.Tensor) -> torch.Tensor:
        return x @ TABLE.T @ TABLE + offset

    program = check(function, x=torch.ones(2))
    assert {str(entry.source) for entry in program.inputs} == {"x", "TABLE", "offset"}
    offset = torch.tensor([5.0, 5.0])
    assert torch.equal(run(program, x=torch.zeros(2)), offset)


def test_an_in_place_result_is_the_users_own_tensor() -> None:
    def function(x: torch.Tensor) -> Any:
        return x.add_(1) is x

    assert run(captured(function, x=torch.ones(2)), x=torch.ones(2)) is True


def nested(x: torch.Tensor, parts: dict[str, Any]) -> Any:
    values, indices = x.topk(2)
    return {"values": values, "rest": [indices, (parts["w"][0] * x, "text", None)]}


def test_nested_structures_in_and_out() -> None:
    check(nested, x=torch.tensor([3.0, 1.0, 2.0]), parts={"w": [torch.ones(3)]})


def test_capture_leaves_arguments_and_generator_alone() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    x, net = torch.ones(4, 3), network()
    torch.set_rng_state(before)
    state = copy.deepcopy(net.state_dict())

    def writes(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
        return net(x.add_(1))

    captured(writes, net=net, x=x)
    assert torch.equal(x, torch.ones(4, 3))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(state[key], value) for key, value in net.state_dict().items())


def test_each_call_knows_its_line() -> None:
    program = captured(partly_without_grad, x=torch.ones(2))
    first = partly_without_grad.__code__.co_firstlineno
    locations = [op.location for op in program.body.ops]
    assert [place.line - first for place in locations if place] == [1, 3, 4, 4, 4, 4]
    assert all(place.filename == __file__ for place in locations if place)


@pytest.mark.parametrize("size", [1, 4])
def test_shape_questions_are_answered_while_recording(size: int) -> None:
    def function(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(x.shape[0] * x.shape[1]) if x.dim() == 2 else x

    program = check(function, x=torch.ones(size, 2))
    assert calls(program) == ["reshape"]

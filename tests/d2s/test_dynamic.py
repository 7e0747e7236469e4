"""Sizes and numbers that differ from call to call: said by an InputSpec, or found out."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from compare import outcome, same
from modules import agree, pair
from torch import nn
from torch.nn import functional

import d2s
from d2s import InputSpec

any_spec: Any = InputSpec
SIZES = (3, 1, 0, 2, 7, 16)


class Net(nn.Module):
    """Layers of many kinds, each for any size of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(4, 8)
        self.norm = nn.LayerNorm(8)
        self.cell = nn.GRUCell(8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        y = self.norm(torch.relu(self.fc(x)))
        h = torch.zeros(x.shape[0], 8)
        for _ in range(3):
            h = self.cell(y, h)
        z, _ = self.attention(h.unsqueeze(1), h.unsqueeze(1), y.unsqueeze(1))
        z = torch.cat([z.squeeze(1), y], dim=1).reshape(x.size(0), 2, -1)
        return z.mean(1) if x.sum() > 0 else z.sum(1) / (len(x) + 1)


def batches(sizes: Any = SIZES, sign: float = 1.0) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.rand(size, 4) * sign for size in sizes]


def test_one_program_for_all_sizes() -> None:
    torch.manual_seed(0)
    eager = Net()
    static: Any = Net()
    static.load_state_dict(eager.state_dict())
    d2s.to_static(static, input_spec=[InputSpec([None, 4], torch.float32, name="x")], full_graph=True)
    for sign in (1.0, -1.0):
        agree(static, eager, batches((3, 1, 2, 7, 16), sign))
    empty = torch.zeros(0, 4)
    assert same(outcome(eager, empty), outcome(static, empty))
    # `agree` asks for gradients of x, and this call does not.
    assert len(static.forward.programs) == 2


def decided(x):
    if x.shape[0] > 4:
        x = x * 2
    if x.size(0) == 1:
        return x + 100
    return x[:, :2] * x.shape[0]


def looped(x):
    total = torch.zeros(4)
    for row in x:
        total = total * 0.5 + row
    for index in range(len(x)):
        total = total + x[index] * index
    return total


def reshaped(x):
    y = x.view(-1, 2, 2).permute(1, 0, 2).reshape(2, -1)
    return functional.pad(y, (1, 0)).flip(0), x.numel(), y.shape


def squeezed(x):
    y = x.squeeze()
    z = x.squeeze(0)
    return (y * 2, z + 1) if y.dim() == 2 else (y - 1, z - 2)


def ranked(x):
    rows, columns = x.shape
    y = x.expand(2, rows, columns) if rows != 1 else x
    return y.sum(0), tuple(x.shape), f"{rows}"


def arrayed(x):
    array = x.numpy()
    if array.shape[0] > 3:
        array = array[:3] + len(array)
    return array, torch.from_numpy(array.reshape(1, array.size)), array.nbytes, array[array > 0.5].shape


of_any_size = pytest.mark.parametrize(
    "function", [decided, looped, reshaped, squeezed, ranked, arrayed], ids=lambda function: function.__name__
)


@of_any_size
def test_functions_of_any_size(function: Any) -> None:
    static = d2s.to_static(function, input_spec=[InputSpec([None, 4])], full_graph=True)
    for x in batches():
        assert same(outcome(static, x), outcome(function, x)), x.shape
    assert len(static.programs) == 1


@of_any_size
def test_a_size_that_changes_is_left_open(function: Any) -> None:
    static = d2s.to_static(function, full_graph=True)
    for x in batches():
        assert same(outcome(static, x), outcome(function, x)), x.shape
    assert len(static.programs) == 2


def test_a_module_of_any_size_by_itself() -> None:
    static, eager = pair(Net)
    agree(static, eager, batches((3, 5, 1, 16)))
    assert len(static.forward.programs) == 2


def test_several_open_sizes_and_structures() -> None:
    def joined(pair, options):
        left, right = pair
        return left @ right.t() * options["scale"] if left.shape[0] > 1 else left.sum() * options["scale"].sum()

    spec = [(InputSpec([None, 4]), InputSpec([-1, 4])), {"scale": InputSpec([], torch.float32)}]
    static = d2s.to_static(joined, input_spec=spec, full_graph=True)
    for rows in (1, 2, 5):
        for others in (1, 3):
            args = ((torch.rand(rows, 4), torch.rand(others, 4)), {"scale": torch.tensor(2.0)})
            assert same(static(*args), joined(*args))
    assert len(static.programs) == 1


def test_a_program_from_the_specification_alone() -> None:
    static = d2s.to_static(decided, input_spec=[InputSpec([None, 4])], full_graph=True)
    program = static.concrete_program()
    assert "float32[?, 4]" in str(program)
    for x in batches():
        assert same(static(x), decided(x))
    assert static.programs == [program]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (torch.ones(3, 5), "x is a tensor of float32 \\[3, 5\\]"),
        (torch.ones(3, 4, dtype=torch.float64), "x is a tensor of float64 \\[3, 4\\]"),
        (torch.ones(4), "InputSpec\\(\\[None, 4\\]"),
        (7, "x is int 7"),
    ],
)
def test_what_does_not_fit_is_told(given: Any, told: str) -> None:
    static = d2s.to_static(decided, input_spec=[InputSpec([None, 4])])
    with pytest.raises(d2s.D2SError, match=told):
        static(given)


@pytest.mark.parametrize(
    "make",
    [
        lambda: any_spec(4),
        lambda: any_spec(["a"]),
        lambda: any_spec([4], "float32"),
        lambda: d2s.to_static(decided, input_spec=InputSpec([4])),
        lambda: d2s.to_static(decided, input_spec=[InputSpec([4]), InputSpec([4])]),
    ],
)
def test_a_specification_that_is_none(make: Any) -> None:
    with pytest.raises(d2s.D2SError, match="InputSpec|input_spec"):
        make()


def test_numbers_that_change_are_left_open() -> None:
    def scaled(x, factor, *rest):
        for _ in range(rest[0]):
            x = x * factor
        return x + rest[0] if factor > 1 else x

    static = d2s.to_static(scaled, full_graph=True)
    x = torch.ones(3)
    for factor, count in ((2.0, 1), (0.5, 1), (0.25, 3), (3.0, 0), (1.0, 40)):
        assert same(static(x, factor, count), scaled(x, factor, count))
    assert len(static.programs) <= 3
    assert same(static(x, 2, 1), scaled(x, 2, 1))  # an int, where a float was


def test_numbers_of_the_state_that_change_are_left_open() -> None:
    class Scheduled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rate = 0.5
            self.steps = 1

        def forward(self, x):
            for _ in range(self.steps):
                x = functional.dropout(x, self.rate, self.training)
            return x * self.rate

    static, eager = pair(Scheduled)
    for rate, steps in ((0.5, 1), (0.25, 1), (0.75, 2), (0.1, 3), (0.9, 4)):
        for net in (static, eager):
            net.rate, net.steps = rate, steps
        agree(static, eager, ways=1)
    assert len(static.forward.programs) <= 3


def test_a_number_that_has_to_be_known_takes_a_program_a_value() -> None:
    def chosen(x, index):
        return x.expand(*[2] * index, 3)

    static = d2s.to_static(chosen, full_graph=True)
    x = torch.ones(3)
    for index in (0, 1, 2, 0, 1, 2):
        assert same(static(x, index), chosen(x, index))
    assert len(static.programs) == 3


def test_what_still_varies_is_told_at_the_cap() -> None:
    def keyed(x, name):
        return x * len(name)

    static = d2s.to_static(keyed)
    x = torch.ones(3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for number in range(40):
            assert same(static(x, f"name{number}"), keyed(x, f"name{number}"))
    (message,) = (str(warning.message) for warning in caught)
    assert "32 programs were captured already, and there is always another value of name" in message
    assert "as a tensor" in message


def test_shapes_that_are_broadcast_to() -> None:
    def expanded(t, u):
        return t.expand(torch.broadcast_shapes(t.shape, u.shape, (1,))) + 0

    spec = any_spec([None, None], torch.float32)
    pairs = [((1, 4), (3, 4)), ((1, 4), (5, 4)), ((7, 1), (7, 4)), ((5, 4), (3, 4)), ((1, 1), (1, 1))]
    for input_spec in (None, [spec, spec]):
        static = d2s.to_static(expanded, full_graph=True, input_spec=input_spec)
        for shapes in pairs:
            given = tuple(map(torch.ones, shapes))
            got, want = outcome(static, *given), outcome(expanded, *given)
            assert same(got, want) or got[0] is want[0] is RuntimeError


class Stepping(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)
        self.other = nn.Parameter(torch.ones(1))
        self.calls = 0

    def forward(self, x):
        self.calls  # another value is another program
        self.layer(x).pow(2).sum().backward()
        return self.layer.weight.grad is None, self.other.grad is None


def test_gradients_of_what_has_open_sizes() -> None:
    module = d2s.to_static(Stepping(), full_graph=True)
    x = torch.ones(3)
    assert module(x) == (False, True)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        module(torch.cat([x, x]))
    module.calls, module.layer.weight.grad = 1, None
    assert module(x) == (False, True)
    assert module.layer.weight.grad is not None

"""Small branches become choices, where that changes no answer and no gradient."""

import pytest
import torch
from lower import agrees, both, lowered_by_python

import d2s
from d2s.runtime.ir.program import If, walk_ops
from d2s.runtime.lowering.pipeline import lowered


def branches(function, *args, **options):
    """The branches that are left."""
    static = d2s.to_static(function, full_graph=True)
    static(*args)
    code = lowered(static.programs[0].program, **options)
    return [op for op in walk_ops(code.program.body) if isinstance(op, If)]


def nested(x, n):
    node, clear = int(n), 1.0
    if x.sum() > 0:
        node = 2 * node + 1
        x = x * 2
        if x.max() > 3:
            clear, x = float(x[0]), x - 1
    else:
        clear = clear / 2
    return x, node, clear


@both
def test_nested_branches_on_tensors_and_numbers(lower):
    calls = [(torch.tensor(one), torch.tensor(5)) for one in ([1.0, 0.5], [4.0, 1.0], [-1.0, 0.0])]
    agrees(lower, nested, *calls)
    assert branches(nested, *calls[0]) == []


def diverging(x):
    return x.exp() if x.sum() < 3 else x * 2


def test_differentiable_code_keeps_what_has_gradients():
    x = torch.tensor([1.0, 1.0])
    assert branches(diverging, x) == []
    assert len(branches(diverging, x, differentiable=True)) == 1
    static = d2s.to_static(diverging, backend="inductor")
    for scale in (1.0, 1000.0):  # exp overflows: chosen, its gradient would be 0 times infinity
        for _ in range(8):
            given, other = ((x * scale).requires_grad_() for _ in range(2))
            diverging(given).sum().backward()
            static(other).sum().backward()
            torch.testing.assert_close(given.grad, other.grad)


def integers(n, d):
    return n // d if d.sum() != 0 else n


def checked(x, i):
    return x[int(i)] * 2 if int(i) < 2 else x[0] + 1


def large(x):
    return x * 2 if x.sum() > 0 else x


def layered(x, w):
    return x @ w if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("function", "calls"),
    [
        (integers, [(torch.tensor([7, 8]), torch.tensor(one)) for one in ([2, 3], [0, 0])]),
        (checked, [(torch.ones(3), torch.tensor(one)) for one in (1, 7)]),
        (large, [(torch.ones(80, 80),), (-torch.ones(80, 80),)]),
        (layered, [(torch.ones(2, 2), torch.eye(2)), (-torch.ones(2, 2), torch.eye(2))]),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_may_fail_or_takes_long_stays_in_its_branch(function, calls):
    agrees(lowered_by_python, function, *calls)
    assert branches(function, *calls[0])

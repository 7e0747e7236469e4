"""Calls: what a captured function calls is converted too, and so are the writes that it makes.

PYTEST_DONT_REWRITE
"""

from __future__ import annotations

import collections
import functools
from typing import Any

import torch
from check import check
from torch import nn

from d2s.runtime.ir.program import Branch, walk_blocks


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values if len(values) > 1 else values[0])


def merges(program: Any) -> bool:
    return not any(isinstance(block.terminator, Branch) for block in walk_blocks(program.body))


def stretch(x, *factors, bias=0.0, **names):
    for f in factors:
        if x.sum() < f:
            x = x * f
    return x + bias + len(names)


def test_functions_star_arguments_and_lambdas() -> None:
    def pass_through(x, *args):
        y = stretch(x, *args, bias=1.0, tag="a")
        pick = lambda v, k=2: v * k if v.sum() > 10 else v
        return pick(y, k=3)

    assert merges(check(pass_through, (t(1.0, 2.0), (2.0, 4.0)[0]), (t(9.0, 2.0), 2.0)))


def is_even(n):
    return True if n == 0 else is_odd(n - 1)


def is_odd(n):
    return False if n == 0 else is_even(n - 1)


def test_recursion_on_python_values() -> None:
    def parity(x):
        if is_even(4) and x.sum() > 0:
            return x * 2
        return x

    check(parity, t(1.0, 2.0), t(-1.0, 0.0))


class Account:
    rate = 2

    def __init__(self, amount):
        if amount > 5:
            amount = amount - 1
        self.amount = amount
        self.moves = 0

    def pay(self, v):
        if self.amount > v:
            self.amount = self.amount - v
            self.moves += 1

    @classmethod
    def empty(cls):
        return cls(torch.zeros(()))

    @staticmethod
    def twice(v):
        return v * 2 if v > 0 else v

    def __call__(self, v):
        return self.amount + v if v > 1 else self.amount


def test_methods_and_constructors_change_objects_in_branches() -> None:
    def bank(start, price):
        account = Account(start)
        account.pay(price)
        account.pay(Account.twice(price))
        return account.amount, account.moves, Account.empty().amount, account(price)

    assert merges(check(bank, (t(10.0), t(3.0)), (t(2.0), t(3.0)), (t(5.0), t(-3.0)), ways=3))


def test_partials_bound_methods_and_higher_order_functions() -> None:
    def applied(x):
        double = functools.partial(stretch, bias=2.0)
        functions: Any = [double, Account(x.sum()).__call__]
        results = [function(x[0]) for function in functions]
        return results, functools.reduce(lambda a, b: a + b, [x, x]), list(map(Account.twice, [x[1]]))

    check(applied, t(3.0, 2.0), t(0.5, -2.0))


def test_nonlocal_and_attribute_writes_in_a_branch() -> None:
    def counted(x):
        calls = 0

        def bump(v):
            nonlocal calls
            calls += 1
            return v + calls

        if x.sum() > 0:
            x = bump(bump(x))
        return x, calls

    assert merges(check(counted, t(1.0, 2.0), t(-1.0, 0.0)))


def test_containers_written_in_a_branch() -> None:
    def containers(x):
        items, table, seen = [1, x], {"a": x}, {1, 2}
        queue = collections.deque([x, x], maxlen=2)
        if x.sum() > 0:
            items[0] = x * 2
            table["a"] = x + 1
            queue.append(x * 3)
            items.reverse()
        else:
            items += []
            items[0] = x
            table.update(a=x * 5)
        del table["a"]
        return items[0], items[1], len(table), len(seen), list(queue)

    check(containers, t(1.0, 2.0), t(-1.0, 0.0))


def test_unpacking_into_attributes_and_items() -> None:
    def unpacked(x):
        account, items = Account(x[0]), [0, 0]
        if x[0] > 0:
            account.amount, (items[0], *rest) = x[1], [x[0], 1, 2]
            items[1] += len(rest)
            account.amount += 1
        else:
            items[0] = items[1] = x[0]
        return account.amount, items

    check(unpacked, t(1.0, 2.0), t(-1.0, 0.0))


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2)

    def forward(self, x):
        y = self.fc(x)
        if y.sum() > 0:
            y = torch.relu(y)
        return y


def test_modules_inside_modules_of_torch_are_converted() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(Block(), nn.ReLU(), Block())

    def run(x):
        return net(x)

    assert merges(check(run, t(5.0, 2.0), t(-5.0, -2.0)))


def test_hooks_of_modules_run() -> None:
    torch.manual_seed(0)
    net = Block()
    net.register_forward_hook(lambda module, args, result: result * 2 if result.sum() > 1 else result)

    def run(x):
        return net(x)

    check(run, t(5.0, 2.0), t(-5.0, -2.0))


def test_a_function_without_source_is_recorded() -> None:
    namespace: dict[str, Any] = {}
    exec("def made(x):\n    return x * 2 if x.sum() > 0 else x", namespace)
    made = namespace["made"]

    def run(x):
        return made(x) + 1

    check(run, t(1.0, 2.0), t(-1.0, 0.0))

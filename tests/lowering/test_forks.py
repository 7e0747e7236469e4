"""A program with one end gives what each of its ends is made of."""

import pytest
import torch
from compare import outcome, same

import d2s
from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.ir.program import Branch, walk_blocks
from d2s.runtime.lowering.ends import made_of
from d2s.runtime.lowering.forks import with_one_end
from d2s.runtime.lowering.refusing import LoweringError
from d2s.runtime.passes.verify import verify


def settled(x, i):
    if x.sum() > 3:
        return x * 2, "big"
    if x.sum() < -3:
        raise ValueError(f"too small: {int(i)}")
    while x.sum() > 0:
        if x.min() > 0:
            x = x - 1
        elif x.max() > 2:
            break
        else:
            x = x / 2
    if x.max() > 1.5:
        y = x * 3
        return y, y, [y, 2]
    return [x, 1], "small"


def lowered(function, *args):
    """The function by way of its program with one end."""
    static = d2s.to_static(function, full_graph=True)
    outcome(static, *args)
    program, ends = with_one_end(static.programs[0].program)
    assert not any(isinstance(block.terminator, Branch) for block in walk_blocks(verify(program).body))
    run = compile_program(program).run

    def call(*inputs):
        named = dict(zip(static.programs[0].parameters, inputs, strict=True))
        values = run(*(named[str(entry.source)] for entry in program.inputs))[0]
        number, values = (values[0], values[1:]) if len(ends) > 1 else (0, values)
        answer = made_of(ends[number].tree, values)
        if ends[number].raises:
            raise answer
        return answer

    return call, ends


def test_each_end_is_made_again():
    call, ends = lowered(settled, torch.ones(2), torch.tensor(1))
    assert len(ends) == 4
    seen = []
    for values in ([4.0, 5.0], [-9.0, 1.0], [1.0, 0.5], [2.5, -1.0], [-1.0, 0.5]):
        want, got = (outcome(run, torch.tensor(values), torch.tensor(7)) for run in (settled, call))
        assert same(want, got), f"{got} instead of {want}"
        seen.append(len(want))
    assert set(seen) == {2, 3}
    twice, same_one, _ = call(torch.tensor([2.5, -1.0]), torch.tensor(0))
    assert twice is same_one


def test_ends_that_are_equal_are_one():
    def f(x):
        if x.sum() > 0:
            return x * 2
        return x - 1

    call, ends = lowered(f, torch.ones(2))
    assert len(ends) == 1
    for x in (torch.ones(2), -torch.ones(2)):
        assert same(call(x), f(x))


def test_an_exception_in_a_loop_is_refused():
    def f(x):
        while x.sum() > 0:
            x = x - 1
            if x.max() < -5:
                raise ValueError("too low")
        return x

    with pytest.raises(LoweringError, match="exception"):
        lowered(f, torch.ones(2))


def test_objects_that_change_on_the_way_are_refused():
    def f(x):
        items = [x]
        if x.sum() > 0:
            items.append(x * 2)
        return items

    with pytest.raises(LoweringError, match="list"):
        lowered(f, torch.ones(2))

"""What values are called in the user's code stays known once the program is a module, and in an archive."""

import torch

import d2s
from d2s.runtime.ir.program import While
from d2s.standalone import standalone


@d2s.to_static
def halving(x, limit: float):
    total = x * 2
    if total.sum() > 0:
        total = total - 1
    while total.sum() > limit:
        total = total / 2
    low, high = total.aminmax()
    return low, high


def _names(program):
    return set(program.names.values())


def test_values_have_the_names_of_the_variables():
    module = standalone(halving.concrete_program(torch.ones(3), 0.5))
    program = module.programs[0].program
    assert {"x", "total", "low", "high"} <= _names(program)
    branch, loop = (op for op in program.body.ops if op.blocks)
    assert isinstance(loop, While)
    assert [program.names[value] for value in (*branch.results, *loop.params, *loop.results)] == ["total"] * 3


def test_an_archive_keeps_them(tmp_path):
    program = halving.concrete_program(torch.ones(3), 0.5)
    d2s.save(program, tmp_path / "halving.d2s")
    loaded = d2s.load(tmp_path / "halving.d2s")
    assert loaded.programs[0].program.names == standalone(program).programs[0].program.names

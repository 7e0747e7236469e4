"""Programs of `torch.export` as programs, and from there as readable code."""

import copy

import pytest
import torch
from torch import nn
from torch._higher_order_ops.while_loop import while_loop
from torch.export import Dim, export

import d2s
from d2s.runtime.ir.canonical import canonical
from d2s.standalone import standalone


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.register_buffer("calls", torch.zeros(()))
        self.offset = torch.full((4,), 0.5)

    def forward(self, x, extra, k=2, *, shift=None):
        x = self.norm(self.fc(x)) + extra["a"] * k + self.offset
        self.calls += 1
        y = torch.cond(x.sum() > 0, lambda x: x * 2, lambda x: x - 1, (x,))
        return {"y": y.reshape(x.shape[0] * 2, -1), "rest": [extra["b"][0] + shift]}


class Looping(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)

    def forward(self, x):
        def goes_on(k, x):
            return k < 5

        def step(k, x):
            return k + 1, torch.tanh(self.fc(x)) * 1.5

        return while_loop(goes_on, step, (torch.tensor(0), x))


def _arguments(seed, rows):
    torch.manual_seed(seed)
    return (torch.randn(rows, 4) * 3 - seed, {"a": torch.randn(4), "b": [torch.ones(2)]}), {"shift": torch.ones(2)}


def _exported(model):
    args, kwargs = _arguments(0, 3)
    rows = Dim("rows", min=2)
    shapes = {"x": {0: rows}, "extra": {"a": None, "b": [None]}, "shift": None}
    return export(model, args, kwargs, dynamic_shapes=shapes)


def test_branches_state_and_dynamic_sizes(tmp_path):
    torch.manual_seed(0)
    model = Branching()
    torch.export.save(_exported(copy.deepcopy(model)), tmp_path / "model.pt2")
    program = d2s.from_exported(tmp_path / "model.pt2")
    dynamic = d2s.to_dynamic(program)
    eager = {name: copy.deepcopy(model) for name in ("program", "dynamic")}
    for seed, rows in ((0, 3), (1, 5), (2, 2), (-3, 4)):
        args, kwargs = _arguments(seed, rows)
        for name, rescued in (("program", program), ("dynamic", dynamic)):
            want, got = (one(*args, **kwargs) for one in (eager[name], rescued))
            torch.testing.assert_close(got, want)
            want["y"].sum().backward()
            got["y"].sum().backward()
            torch.testing.assert_close(rescued.state_dict(), eager[name].state_dict())
            torch.testing.assert_close(rescued.fc.weight.grad, eager[name].fc.weight.grad)


def test_a_loop_can_be_read_and_be_static_again():
    torch.manual_seed(0)
    model = Looping().eval()
    x = torch.randn(2, 3)
    program = d2s.from_exported(export(model, (x,)))
    source = d2s.to_source(program)
    assert "while " in source and "self.fc(x)" in source
    dynamic = d2s.to_dynamic(program)
    for seed in range(3):
        x = torch.randn(2, 3, generator=torch.Generator().manual_seed(seed))
        torch.testing.assert_close(program(x), model(x))
        torch.testing.assert_close(dynamic(x), model(x))
    again = d2s.to_static(dynamic).forward.concrete_program(x)
    assert canonical(standalone(again).programs[0].program) == canonical(program.programs[0].program)


def test_the_mode_of_training_is_kept():
    program = d2s.from_exported(_exported(Branching().eval()))
    args, kwargs = _arguments(1, 3)
    program(*args, **kwargs)
    with pytest.raises(d2s.D2SError, match="eval mode"):
        program.train()(*args, **kwargs)


def test_an_exported_program_can_be_edited_and_saved(tmp_path):
    torch.manual_seed(0)
    model = Looping()
    x = torch.randn(2, 3)
    editor = d2s.edit(d2s.from_exported(export(model, (x,))))
    for op in editor.find(torch.tanh) or editor.find(torch.Tensor.tanh):
        editor.replace(op, torch.relu, *op.args)
    d2s.save(editor.module(), tmp_path / "edited.d2s")
    want = x
    for _ in range(5):
        want = torch.relu(model.fc(want)) * 1.5
    torch.testing.assert_close(d2s.load(tmp_path / "edited.d2s")(x)[1], want)


def test_what_is_no_exported_program(tmp_path):
    (tmp_path / "other.pt2").write_bytes(b"nothing")
    with pytest.raises(d2s.D2SError, match=r"no file of torch\.export"):
        d2s.from_exported(tmp_path / "other.pt2")
    with pytest.raises(d2s.D2SError, match="no exported program"):
        d2s.from_exported(nn.Linear(2, 2))
    with pytest.raises(FileNotFoundError):
        d2s.from_exported(tmp_path / "none.pt2")

"""Archives: what is loaded does what was saved, without its code, and whatever can't be is refused."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import textwrap
import zipfile

import pytest
import torch
from torch import nn

import d2s


class Gated(nn.Module):
    """Branch, loop, dropout, batch norm, a counter, a tied weight, a cache and a list."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8))
        self.outer = nn.Linear(8, 4, bias=False)
        self.tied = nn.Linear(4, 8, bias=False)
        self.tied.weight = nn.Parameter(torch.randn(8, 4))
        self.shared = self.inner
        self.drop = nn.Dropout(0.4)
        self.register_buffer("seen", torch.zeros(()), persistent=False)
        self.scale = torch.tensor(0.5)
        self.calls = 0

    def forward(self, x, *, limit=6, names=("a", None)):
        self.calls += 1
        self.seen += x.sum()
        h = self.drop(self.inner(x))
        steps = 0
        while h.norm() > 2 and steps < limit:
            h = h * self.scale
            steps += 1
        if h.sum() > 0:
            h = self.shared(x) + self.tied(x)
        return {"answer": self.outer(h), "steps": steps, "names": names}


def saved(module, path, input_spec):
    d2s.save(module, path / "net.d2s", input_spec=input_spec)
    return d2s.load(path / "net.d2s")


def test_it_runs_and_trains_further(tmp_path):
    torch.manual_seed(0)
    net = Gated()
    loaded = saved(net, tmp_path, [d2s.InputSpec([None, 4])])
    assert len(loaded.programs) == 2 and list(loaded.state_dict()) == list(net.state_dict())
    optimizers = [torch.optim.Adam(one.parameters(), 0.05) for one in (net, loaded)]
    for step in range(6):
        x = torch.randn(3 + step, 4) * (10 if step % 2 else 0.1)
        answers = []
        for one, optimizer in zip((net, loaded), optimizers, strict=True):
            one.train(step % 3 != 2)
            torch.manual_seed(step)
            answer = one(x)
            optimizer.zero_grad()
            answer["answer"].square().sum().backward()
            optimizer.step()
            answers.append((answer["answer"], answer["steps"], one.calls, one.seen, dict(one.named_buffers())))
        torch.testing.assert_close(answers[1], answers[0])
    torch.testing.assert_close(loaded.state_dict(), net.state_dict())
    with torch.no_grad():
        assert not loaded(x)["answer"].requires_grad


def test_state_goes_both_ways(tmp_path):
    net = Gated()
    loaded = saved(net, tmp_path, [d2s.InputSpec([None, 4])]).eval()
    other = Gated().eval()
    loaded.load_state_dict(other.state_dict())
    x = torch.randn(2, 4)
    torch.testing.assert_close(loaded(x)["answer"], other(x)["answer"])
    net.load_state_dict(loaded.state_dict())
    torch.testing.assert_close(net.eval()(x)["answer"], other(x)["answer"])


def test_tied_weights_and_modules_stay_tied(tmp_path):
    loaded = saved(Gated(), tmp_path, [d2s.InputSpec([None, 4])])
    assert loaded.shared is loaded.inner
    assert "seen" not in loaded.state_dict() and "seen" in dict(loaded.named_buffers())


def test_it_moves_to_another_dtype(tmp_path):
    net = Gated().eval()
    loaded = saved(net, tmp_path, [d2s.InputSpec([None, 4])]).double()
    x = torch.randn(2, 4).double()
    torch.testing.assert_close(loaded(x)["answer"], net.double()(x)["answer"])


def test_a_function_that_asks_for_the_dtype_stays_with_it(tmp_path):
    class Masked(nn.Module):
        def forward(self, x):
            return torch.where(x > 0, x, torch.finfo(x.dtype).min)

    loaded = saved(Masked(), tmp_path, [d2s.InputSpec([3])])
    assert loaded(torch.ones(3)).tolist() == [1, 1, 1]
    with pytest.raises(d2s.D2SError, match="no program for this call"):
        loaded(torch.ones(3).double())


def test_copies_and_saving_again(tmp_path):
    loaded = saved(Gated(), tmp_path, [d2s.InputSpec([None, 4])]).eval()
    twin = copy.deepcopy(loaded)
    x = torch.randn(2, 4)
    with torch.no_grad():
        twin.outer.weight.zero_()
    assert twin(x)["answer"].abs().sum() == 0 and loaded(x)["answer"].abs().sum() > 0
    d2s.save(loaded, tmp_path / "again.d2s")
    torch.testing.assert_close(d2s.load(tmp_path / "again.d2s").eval()(x)["answer"], loaded(x)["answer"])


def test_a_function_and_a_program(tmp_path):
    weight = nn.Parameter(torch.randn(3))

    def function(x, pair):
        total = x * weight + pair[0]
        for step in range(3):
            if total.sum() > step:
                total = total / 2
        return total, pair[1]

    expected = function(torch.ones(3), (torch.ones(3), "text"))
    spec = [d2s.InputSpec([3]), (d2s.InputSpec([3]), "text")]
    answer = saved(function, tmp_path, spec)(torch.ones(3), (torch.ones(3), "text"))
    torch.testing.assert_close(answer[0], expected[0])
    assert answer[1] == "text"
    static = d2s.to_static(function)
    static(torch.ones(3), (torch.ones(3), "text"))
    static(torch.ones(3), (torch.ones(3), "other"))
    both = saved(static, tmp_path, None)
    assert len(both.programs) == 2 and list(both.state_dict()) == ["weight"]
    assert both(torch.ones(3), (torch.ones(3), "other"))[1] == "other"
    program = static.concrete_program(torch.ones(3), (torch.ones(3), "text"))
    torch.testing.assert_close(saved(program, tmp_path, None)(torch.ones(3), (torch.ones(3), "text"))[0], expected[0])


def test_an_edited_program(tmp_path):
    program = d2s.to_static(lambda x: torch.relu(x) if x.sum() > 0 else x, full_graph=True)
    editor = d2s.edit(program.concrete_program(torch.ones(2)))
    editor.replace(editor.find("relu")[0], torch.neg, editor.find("relu")[0].args[0])
    assert saved(editor.module(), tmp_path, None)(torch.ones(2)).tolist() == [-1, -1]


def test_constants_of_every_kind(tmp_path):
    def function(x):
        y = torch.full((2, 2), 2.5, dtype=torch.float64, device="cpu")[..., 0:1]
        z = torch.zeros(2, 3).to(memory_format=torch.contiguous_format) + x.to(torch.complex64).real[0]
        return [x * 1e300 * float("inf"), y, z, {"k": (1, 2j, b"x", "%t1"), 3: {4, 5}}, torch.Size([1, 2]), range(3)]

    x = torch.tensor([1.0, -2.0])
    torch.testing.assert_close(
        saved(function, tmp_path, [d2s.InputSpec([2])])(x)[:3], function(x)[:3], rtol=0, atol=0, equal_nan=True
    )
    assert repr(saved(function, tmp_path, [d2s.InputSpec([2])])(x)[3:]) == repr(function(x)[3:])


def test_exceptions_are_raised_as_they_were(tmp_path):
    def function(x):
        if x.sum() > 3:
            raise ValueError(f"too much: {x.sum().item():.1f}")
        return x

    loaded = saved(function, tmp_path, [d2s.InputSpec([2])])
    with pytest.raises(ValueError, match=r"too much: 8\.0"):
        loaded(torch.full((2,), 4.0))


def test_it_needs_neither_source_nor_classes(tmp_path):
    script = tmp_path / "model.py"
    script.write_text(
        textwrap.dedent(
            """
            import sys, torch, d2s
            from torch import nn

            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.fc = nn.Linear(3, 3)
                def forward(self, x):
                    while x.norm() > 1:
                        x = torch.tanh(self.fc(x)) / 2
                    return x

            torch.manual_seed(0)
            net = Net()
            d2s.save(net, "net.d2s", input_spec=[d2s.InputSpec([None, 3])])
            torch.save(net(torch.ones(2, 3)), "answer.pt")
            """
        )
    )
    subprocess.run([sys.executable, "model.py"], cwd=tmp_path, check=True)
    script.unlink()
    loaded = d2s.load(tmp_path / "net.d2s")
    torch.testing.assert_close(loaded(torch.ones(2, 3)), torch.load(tmp_path / "answer.pt"))
    assert repr(loaded).startswith("Net(")


def test_the_archive_is_readable(tmp_path):
    saved(Gated(), tmp_path, [d2s.InputSpec([None, 4], name="x")])
    with zipfile.ZipFile(tmp_path / "net.d2s") as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("d2s.json"))
        program = json.loads(archive.read("programs/0.json"))
        code = archive.read("code/0.py").decode()
    generated = ["code/0.py", "code/1.py"]
    assert names == ["d2s.json", "programs/0.json", "programs/1.json", *generated, "weights.safetensors"]
    assert manifest["schema"] == 1 and manifest["torch"] == torch.__version__
    assert manifest["module"]["modules"]["outer"]["parameters"]["weight"] == "outer.weight"
    called = {op["call"] for op in program["body"]["ops"] if "call" in op}
    assert "torch.nn.functional.linear" in called and "while" in code


def unsaveable(x, kind):
    if kind == "numpy":
        return torch.from_numpy(x.numpy() * 2)
    if kind == "class":
        return Point(x)
    return Doubled.apply(x)


class Point:
    def __init__(self, x):
        self.x = x


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


@pytest.mark.parametrize(
    ("kind", "message"),
    [("numpy", "numpy"), ("class", "Point.* can't be saved|remake_object"), ("function", "apply can't be saved")],
)
def test_what_can_not_be_saved_leaves_the_old_file(tmp_path, kind, message):
    path = tmp_path / "net.d2s"
    d2s.save(lambda x: x * 2, path, input_spec=[d2s.InputSpec([2])])
    before = path.read_bytes()
    with pytest.raises(d2s.D2SError, match=message):
        d2s.save(unsaveable, path, input_spec=[d2s.InputSpec([2]), kind])
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["net.d2s"]


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "net.d2s"
    d2s.save(lambda x: x * 2, path, input_spec=[d2s.InputSpec([2])])

    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            d2s.save(lambda x: x * 3, path, input_spec=[d2s.InputSpec([2])])
    assert d2s.load(path)(torch.ones(2)).tolist() == [2, 2] and os.listdir(tmp_path) == ["net.d2s"]


def test_weights_that_share_memory_are_refused(tmp_path):
    net = nn.Linear(2, 2)
    net.register_buffer("first", net.weight.detach()[0])
    with pytest.raises(d2s.D2SError, match="share memory"):
        d2s.save(net, tmp_path / "net.d2s", input_spec=[d2s.InputSpec([2])])


def test_strided_and_complex_weights(tmp_path):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(3, 2).t())
            self.register_buffer("phase", torch.randn(2, dtype=torch.complex128))
            self.low = nn.Parameter(torch.randn(2).bfloat16(), requires_grad=False)

        def forward(self, x):
            return (x @ self.weight.t() * self.low.float() * self.phase if x.sum() > 0 else x).abs()

    net = Net()
    loaded = saved(net, tmp_path, [d2s.InputSpec([3])])
    assert loaded.weight.stride() == net.weight.stride() and not loaded.low.requires_grad
    torch.testing.assert_close(loaded(torch.ones(3)), net(torch.ones(3)))


def test_nothing_to_save(tmp_path):
    with pytest.raises(d2s.D2SError, match="has no program yet"):
        d2s.save(d2s.to_static(lambda x: x), tmp_path / "net.d2s")
    with pytest.raises(FileNotFoundError):
        d2s.load(tmp_path / "net.d2s")

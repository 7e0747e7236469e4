"""A static program as an ordinary module: its source reads well, runs the same, trains, and can be static again."""

import ast
import copy
import runpy

import pytest
import torch
import torch.nn.functional as F
from equality import equal_programs
from torch import nn

import d2s
from d2s.runtime.standalone.module import Part
from d2s.standalone import standalone


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.ReLU()) for _ in range(2)])
        self.norm = nn.LayerNorm(4)
        self.scale = nn.Parameter(torch.full((4,), 1.5))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x, limit: float = 3.0):
        for block in self.blocks:
            x = x + block(x)
        x = self.norm(x)
        if x.sum() > 0:
            y = x * 2
        else:
            y = F.softplus(x) - 1
        while y.abs().max() > limit:
            y = y * self.scale / 3
            if y.mean() < -1:
                break
        self.steps += 1
        return y, x


def inputs():
    torch.manual_seed(0)
    return [torch.randn(5, 4) * scale + shift for scale, shift in ((1, 0), (5, 3), (9, -4), (0.1, 0))]


@pytest.fixture
def net():
    torch.manual_seed(1)
    return Net()


def test_it_runs_equal_to_the_eager_module(net):
    made = d2s.to_dynamic(d2s.to_static(copy.deepcopy(net)).forward.concrete_program(inputs()[0]))
    assert type(made).__name__ == "Net" and not isinstance(made, Net)
    for x in inputs():
        torch.testing.assert_close(made(x), net(x))
    assert made.steps == net.steps == len(inputs())


def test_it_trains_as_the_eager_module_does(net):
    made = d2s.to_dynamic(d2s.to_static(copy.deepcopy(net)).forward.concrete_program(inputs()[0]))
    assert made.state_dict().keys() == net.state_dict().keys()
    for module in (made, net):
        optimizer = torch.optim.Adam(module.parameters(), 0.1)
        for x in inputs():
            optimizer.zero_grad()
            sum(part.square().sum() for part in module(x)).backward()
            optimizer.step()
    torch.testing.assert_close(made.state_dict(), net.state_dict())


def test_the_weights_are_copies(net):
    program = d2s.to_static(net).forward.concrete_program(inputs()[0])
    made = d2s.to_dynamic(program)
    with torch.no_grad():
        made.scale.zero_()
    assert net.scale.min() == 1.5


def test_static_again_it_is_an_equal_program(net):
    first = d2s.to_static(net).forward.concrete_program(inputs()[0])
    made = d2s.to_dynamic(first)
    again = d2s.to_static(made).forward.concrete_program(inputs()[0])
    assert equal_programs(first, again)
    with torch.no_grad():
        assert not equal_programs(first, d2s.to_static(lambda x: x + 1).concrete_program(inputs()[0]))


def test_the_source_is_what_one_would_write(net):
    source = d2s.to_source(d2s.to_static(net).forward.concrete_program(inputs()[0]))
    assert "while y.abs().max() > 3.0" in source or "y.abs().max() > 3.0" in source
    assert "if x.sum() > 0:\n            y = x * 2\n        else:\n            y = F.softplus(x) - 1\n" in source
    assert "d2s" not in source


def test_original_lines_as_comments(net):
    program = d2s.to_static(net).forward.concrete_program(inputs()[0])
    assert "# while y.abs().max() > limit:" in d2s.to_source(program, comments=True)
    assert "#" not in d2s.to_source(program)


def test_files_that_need_torch_alone(net, tmp_path):
    program = d2s.to_static(net).forward.concrete_program(inputs()[0])
    made = d2s.to_dynamic(program, tmp_path / "model.py")
    module = runpy.run_path(str(tmp_path / "model.py"))["Net"]()
    module.load_state_dict(torch.load(tmp_path / "model_weights.pt", weights_only=True))
    for x in inputs():
        torch.testing.assert_close(module(x), made(x))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.py", "model_weights.pt"]


class Odd(nn.Module):
    """Names that are words of Python's, shadow its functions, or are none."""

    def __init__(self):
        super().__init__()
        self.add_module("class", nn.Linear(3, 3))
        self.add_module("0", nn.Linear(3, 3))
        self.register_parameter("lambda", nn.Parameter(torch.ones(3)))
        self.sum = 2.0

    def forward(self, x, input):
        len = getattr(self, "class")(x)
        for key in ("a", "b"):
            if len.sum() > 0:
                len = getattr(self, "0")(len) * input[key]
        max = torch.empty(2).random_(**{"from": 1, "to": 2}).sum()
        return len * getattr(self, "lambda") + self.sum * max


def test_odd_names():
    torch.manual_seed(0)
    odd = Odd()
    arguments = torch.randn(2, 3), {"a": torch.ones(3), "b": torch.ones(3)}
    made = d2s.to_dynamic(d2s.to_static(copy.deepcopy(odd)).forward.concrete_program(*arguments))
    assert made.state_dict().keys() == odd.state_dict().keys()
    for scale in (1, -1):
        torch.testing.assert_close(made(arguments[0] * scale, arguments[1]), odd(arguments[0] * scale, arguments[1]))


def test_several_signatures():
    static = d2s.to_static(lambda x, n=2: x * n if x.sum() > 0 else x - n)
    x = torch.ones(3)
    static(x)
    static(x[None], n=3.5)
    made = d2s.to_dynamic(static)
    for args in ((x,), (-x,), (x[None], 3.5), (-x[None], 3.5)):
        torch.testing.assert_close(made(*args), static(*args))
    with pytest.raises(ValueError, match="captured for other arguments"):
        made(x[None], 4)


def test_what_the_program_assumes_is_asserted(net):
    made = d2s.to_dynamic(d2s.to_static(net).forward.concrete_program(inputs()[0], 2.0))
    with pytest.raises(AssertionError):
        made(inputs()[0], 3.0)
    with pytest.raises(AssertionError):
        made(torch.randn(2, 4), 2.0)


def test_what_can_not_be_written():
    @d2s.to_static
    def shadowing(torch):
        return torch + 1

    with pytest.raises(d2s.D2SError, match="a parameter can't be called 'torch'"):
        d2s.to_dynamic(shadowing.concrete_program(torch.ones(2)))
    hiding = d2s.to_static(lambda x, len: x * len["k"]).concrete_program(torch.ones(2), {"k": torch.ones(2)})
    assert d2s.to_dynamic(hiding)(torch.ones(2), {"k": torch.ones(2)}).sum() == 2
    hiding = d2s.to_static(lambda x, type: x * type["k"]).concrete_program(torch.ones(2), {"k": torch.ones(2)})
    with pytest.raises(d2s.D2SError, match="called 'type' hides"):
        d2s.to_dynamic(hiding)
    with pytest.raises(d2s.D2SError, match="no program"):
        d2s.to_dynamic(d2s.to_static(lambda x: x))


def test_names_are_never_code(net):
    """An archive is somebody else's text, and source is run."""
    module = standalone(d2s.to_static(net).forward.concrete_program(inputs()[0]))
    module.d2s_kind = "Net:\n    import os\nclass Other"
    module.d2s_put("_modules", "0)\nimport os\n(", Part("Identity"))
    names = [
        node.names[0].name for node in ast.walk(ast.parse(d2s.to_source(module))) if isinstance(node, ast.Import)
    ]
    assert names == ["torch", "torch.nn.functional"]

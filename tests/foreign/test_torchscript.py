"""TorchScript's modules as programs, and from there as readable code: the same answers, gradients and state."""

import copy
from typing import Any

import pytest
import torch
from scripted import (
    Branching,
    Breaking,
    Checking,
    Counting,
    Deep,
    Endless,
    Halving,
    Leaving,
    Lists,
    Memory,
    Named,
    Nested,
    Picture,
    Recurrent,
    Search,
    Tables,
    Writing,
    clipped,
)
from torch import nn

import d2s


def _x(seed, *shape, scale=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * scale


ROWS = [_x(seed, 3, 4, scale=scale) for seed, scale in ((0, 1.0), (1, 5.0), (2, 0.1), (3, 20.0))]
# A model, and the arguments of calls that take different paths.
MODELS: dict[type[nn.Module], list[tuple[Any, ...]]] = {
    Branching: [(x,) for x in ROWS] + [(-x.abs(),) for x in ROWS] + [(ROWS[0], ROWS[1]), (ROWS[1], None)],
    Halving: [(x,) for x in ROWS],
    Breaking: [(x, n) for x in ROWS for n in (0, 1, 6)],
    Recurrent: [(_x(seed, 2, length, 4, scale=3.0),) for seed, length in ((0, 5), (1, 1), (2, 0), (3, 7))],
    Deep: [(x,) for x in ROWS],
    Counting: [(x,) for x in ROWS],
    Checking: [(ROWS[0], mode) for mode in ("mean", "max", "sum", "least")] + [(ROWS[0][0],)],
    Tables: [(x,) for x in ROWS],
    Search: [(x,) for x in ROWS] + [(ROWS[0], 10.0)],
    Lists: [(ROWS, None), (ROWS, 1), (ROWS[:1], 0)],
    Picture: [(_x(seed, 2, 1, size, size),) for seed, size in ((0, 8), (1, 16), (2, 4))],
    Nested: [(x, n) for x in ROWS for n in (0, 1, 5)],
    Endless: [(x,) for x in ROWS] + [(-x.abs(),) for x in ROWS],
    Leaving: [(x, n) for x in ROWS for n in (0, 1, 6)],
    Named: [({"one": ROWS[0], "skip": ROWS[1], "two": ROWS[3]}, name) for name in ("a_b_c", "b_c", "a")],
    Memory: [(_x(0, 2, 3, 4), None), (_x(1, 2, 6, 4), (_x(2, 2, 2, 5), _x(3, 2, 2, 5)))],
    Writing: [(x, places) for x in ROWS for places in ([], [0, 1, 5])],
}


def _scripted(model, training):
    torch.manual_seed(0)
    return torch.jit.script(model().train(training))


def _outcome(module, args):
    """The answer of a call, or the exception, and the gradients of the parameters."""
    torch.manual_seed(1)
    module.zero_grad()
    try:
        answer = module(*copy.deepcopy(args))
    except Exception as error:
        # TorchScript makes one exception of its own of all.
        return str(error).strip().splitlines()[-1].partition(": ")[2] or str(error)
    tensors = [one for one in _leaves(answer) if isinstance(one, torch.Tensor) and one.requires_grad]
    if tensors:
        sum(one.sum() for one in tensors).backward()
    grads = {name: parameter.grad for name, parameter in module.named_parameters()}
    return answer, {name: torch.zeros(()) if grad is None else grad.clone() for name, grad in grads.items()}


def _leaves(thing):
    if isinstance(thing, dict):
        thing = list(thing.values())
    return [leaf for one in thing for leaf in _leaves(one)] if isinstance(thing, list | tuple) else [thing]


def _same(first, second):
    if isinstance(first, str) or isinstance(second, str):
        assert isinstance(first, str) and isinstance(second, str)
        assert first in second or second in first
    else:
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("training", [True, False], ids=["training", "eval"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_scripted_model_is_rescued(model, training, tmp_path):
    _scripted(model, training).save(tmp_path / "model.pt")
    script = torch.jit.load(tmp_path / "model.pt")
    program = d2s.from_torchscript(tmp_path / "model.pt")
    dynamic = d2s.to_dynamic(program)
    assert program.state_dict().keys() == dynamic.state_dict().keys() == script.state_dict().keys()
    for args in MODELS[model]:
        want = _outcome(script, args)
        names = list(program.d2s_signature.parameters)[len(args) :]
        defaults = tuple(program.d2s_signature.parameters[name].default for name in names)
        _same(_outcome(program, (*args, *defaults)), want)
        _same(_outcome(dynamic, args), want)
    for rescued in (program, dynamic):
        torch.testing.assert_close(rescued.state_dict(), script.state_dict())


def test_the_rescued_code_is_readable():
    source = d2s.to_source(d2s.from_torchscript(_scripted(Breaking, False)))
    assert "for i in range(n):" in source and "break" in source
    source = d2s.to_source(d2s.from_torchscript(_scripted(Leaving, False)))
    assert "return carried if flag else x - 1" in source and "None" not in source
    source = d2s.to_source(d2s.from_torchscript(_scripted(Halving, False)))
    assert "while x.abs().max() > 1:\n            x = x / 2\n            steps = steps + 1\n" in source
    source = d2s.to_source(d2s.from_torchscript(_scripted(Deep, False)))
    assert "nn.BatchNorm1d(4)" in source and "training=self.drop.training" in source


def test_rescued_code_can_be_static_and_saved(tmp_path):
    script = _scripted(Recurrent, False)
    dynamic = d2s.to_dynamic(d2s.from_torchscript(script))
    static = d2s.to_static(dynamic, full_graph=True)
    for args in MODELS[Recurrent]:
        torch.testing.assert_close(static(*args), script(*args))
    d2s.save(d2s.from_torchscript(script), tmp_path / "model.d2s")
    loaded = d2s.load(tmp_path / "model.d2s")
    for args in MODELS[Recurrent]:
        torch.testing.assert_close(loaded(*args), script(*args))


def test_a_traced_model():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 5)).eval()
    traced = torch.jit.trace(model, _x(0, 2, 1, 8, 8))
    program = d2s.from_torchscript(traced)
    dynamic = d2s.to_dynamic(program)
    for seed in range(3):
        x = _x(seed, 2, 1, 8, 8)
        torch.testing.assert_close(program(x), model(x))
        torch.testing.assert_close(dynamic(x), model(x))
    assert "nn.Conv2d(1, 4, 3)" in d2s.to_source(program)


def test_a_function():
    script = torch.jit.script(clipped)
    program = d2s.from_torchscript(script)
    dynamic = d2s.to_dynamic(program)
    assert type(dynamic).__name__ == "Clipped"
    for x in ROWS:
        for rescued in (program, dynamic):
            torch.testing.assert_close(rescued(x, -0.5, 0.5), clipped(x, -0.5, 0.5))


def test_what_is_no_torchscript(tmp_path):
    (tmp_path / "other.pt").write_bytes(b"no such file")
    with pytest.raises(d2s.D2SError, match="no file of TorchScript"):
        d2s.from_torchscript(tmp_path / "other.pt")
    with pytest.raises(d2s.D2SError, match="no module of TorchScript"):
        d2s.from_torchscript(nn.Linear(2, 2))
    with pytest.raises(FileNotFoundError):
        d2s.from_torchscript(tmp_path / "none.pt")

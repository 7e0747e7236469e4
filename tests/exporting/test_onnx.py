"""Programs as models of ONNX: in onnxruntime they answer as eager does, on every branch and for free sizes."""

import onnx
import onnxruntime
import pytest
import torch
from adaptive_rnn import AdaptiveRNN
from compare import same
from exported import as_tensors
from greedy_decode import decoder
from torch import nn

import d2s
from d2s.errors import D2SError


def session(target, input_spec, path):
    d2s.to_onnx(target, path, input_spec)
    onnx.checker.check_model(str(path), full_check=True)
    return onnxruntime.InferenceSession(str(path))


def answers(found, args):
    names = [one.name for one in found.get_inputs()]
    given = {name: one.numpy() for name, one in zip(names, args, strict=True)}
    return [torch.as_tensor(one) for one in found.run(None, given)]


def agrees(target, input_spec, path, *calls):
    """The session of the model, once it has answered as the target does."""
    found = session(target, input_spec, path)
    for args in calls:
        with torch.no_grad():
            want = as_tensors(target(*args))
        want = list(want) if isinstance(want, tuple) else [want]
        got = answers(found, args)
        assert same(want, got, 1e-5), f"{got} instead of {want}"
    return found


def kinds(graph):
    """The operators of a graph and of the graphs in it."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from kinds(attribute.g)


def test_the_examples(tmp_path):
    spec = [d2s.InputSpec([None, 4]), d2s.InputSpec([])]
    calls = [(torch.randn(n, 4), torch.tensor(one)) for n, one in ((2, 0.1), (5, 0.9), (3, 0.0))]
    found = agrees(AdaptiveRNN(4, 8, 20).eval(), spec, tmp_path / "rnn.onnx", *calls)
    assert [one.name for one in found.get_inputs()] == ["x", "confidence"]
    assert [one.name for one in found.get_outputs()] == ["output_0", "output_1"]
    assert {"Loop", "If"} <= set(kinds(onnx.load(tmp_path / "rnn.onnx").graph))
    hidden = [(torch.randn(1, 16, generator=torch.Generator().manual_seed(seed)),) for seed in (1, 3, 5)]
    agrees(decoder().eval(), hidden[0], tmp_path / "decoder.onnx", *hidden)


def nested(x, n):
    total = torch.zeros(2)
    for i in range(int(n)):
        z = x * (i + 1)
        while z.sum() > 1:
            z = z * 0.7 if z[0] > z[1] else z / 2
            if z.min() < 0:
                while z.max() > 0.1:
                    z = z - 0.1
        total = total + z
    return total


def test_nested_loops(tmp_path):
    calls = [
        (torch.tensor(values), torch.tensor(n)) for values, n in (([2.0, 3.0], 3), ([3.0, -1.0], 2), ([1.0, 1.0], 0))
    ]
    agrees(nested, list(calls[0]), tmp_path / "nested.onnx", *calls)


def checked(x, i):
    if x.sum() < 0:
        raise ValueError("negative")
    return x[i] * 2


def test_where_the_program_raises_the_session_fails(tmp_path):
    found = agrees(checked, [torch.ones(3), torch.tensor(1)], tmp_path / "m.onnx", (torch.ones(3), torch.tensor(-1)))
    for args in ((torch.ones(3), torch.tensor(3)), (-torch.ones(3), torch.tensor(0))):
        with pytest.raises(Exception, match="out of"):
            answers(found, args)


def made_inside(x):
    """A constant of several elements, which a trip writes, and a test that is carried."""
    go_on = x.sum() < 9
    while go_on:
        steps = torch.tensor([0.5, 2.0])
        steps[0] = x[1]
        x = x + steps
        go_on = x.sum() < 9
    return x


def test_constants_inside_and_a_test_that_is_carried(tmp_path):
    calls = [(torch.tensor(values),) for values in ([1.0, 2.0], [8.0, 2.0], [-20.0, 1.0])]
    agrees(made_inside, list(calls[0]), tmp_path / "inside.onnx", *calls)


def transformed(x):
    return torch.special.bessel_j0(x) if x.sum() > 0 else x


def test_a_refusal_writes_nothing(tmp_path):
    written, drawn = nn.BatchNorm1d(2), nn.Dropout()
    for target, why in ((transformed, "bessel"), (written, "a write to self.num_batches"), (drawn, "random draws")):
        with pytest.raises(D2SError, match=why):
            d2s.to_onnx(target, tmp_path / "refused.onnx", [torch.ones(3, 2)])
    assert list(tmp_path.iterdir()) == []


def flags(x, y):
    known = x > 0 if y.sum() > 0 else y > 0
    return known, torch.where(y > 0, x, y), torch.where(y > 0, x > y, False)


def test_choices_among_flags(tmp_path):
    calls = [(torch.randn(3), torch.tensor(values)) for values in ([1.0, 2.0, -1.0], [-3.0, 1.0, 0.5])]
    agrees(flags, list(calls[0]), tmp_path / "flags.onnx", *calls)

"""Which features and examples leave Python, as .pt2 and as ONNX, and the reasons of the others: docs/exporting.md."""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import onnxruntime
import torch
from adaptive_rnn import AdaptiveRNN
from both_ways import Denoiser
from compare import same
from dynamic_linear_regression import DynamicLinearRegression
from exported import as_tensors
from greedy_decode import decoder
from language import load, made, observe
from linear_regression import LinearRegression
from train_mlp import MLP

import d2s
from d2s.errors import D2SError

_DOCUMENT = Path(__file__).parents[2] / "docs" / "exporting.md"
_MARK = "<!-- table -->\n"
_HEAD = "\n| | .pt2 | ONNX |\n|---|---|---|\n"
Args = tuple[Any, ...]


@dataclass(frozen=True)
class Candidate:
    """Something that gives only tensors and numbers for all its inputs."""

    group: str
    name: str
    what: str
    make: Callable[[], Any]
    inputs: Sequence[Args]


def candidates() -> list[Candidate]:
    """The examples, and those of the features of the language that can leave Python by what they give."""
    features = [
        Candidate(one.group, one.name, one.what, functools.partial(made, one.thing), one.inputs)
        for one in load()
        if one.status == "captured" and one.programs == 1
    ]
    return [one for one in _examples() + features if all(map(_is_numeric, _answers(one)))]


def _examples() -> list[Candidate]:
    torch.manual_seed(0)
    confidences = [(torch.randn(2, 8), torch.tensor(one)) for one in (0.1, 0.9, 0.999)]
    hidden = [(torch.randn(1, 16, generator=torch.Generator().manual_seed(seed)),) for seed in (1, 3, 5)]
    given: list[tuple[str, Callable[[], Any], Sequence[Args]]] = [
        ("adaptive_rnn.py", AdaptiveRNN, confidences),
        ("greedy_decode.py", decoder, hidden),
        ("linear_regression.py", LinearRegression, [(torch.randn(4, 1),)]),
        ("dynamic_linear_regression.py", DynamicLinearRegression, [(torch.randn(4, 1),)]),
        ("train_mlp.py", MLP, [(torch.ones(2, 4),), (torch.full((2, 4), 5.0),)]),
        ("both_ways.py", Denoiser, [(torch.zeros(4, 8),), (torch.randn(4, 8),)]),
    ]
    return [
        Candidate("examples", name, name, functools.partial(_in_use, make), inputs) for name, make, inputs in given
    ]


def _in_use(make: Callable[[], Any]) -> Any:
    """A model, always with the same parameters, no longer in training."""
    torch.manual_seed(1)
    return make().eval()


def _answers(candidate: Candidate) -> Iterator[Any]:
    """What eager gives for the inputs, each time anew made."""
    for args in candidate.inputs:
        with torch.no_grad():
            yield observe(candidate.make(), args)[0]


def _is_numeric(answer: Any) -> bool:
    if isinstance(answer, tuple | list):
        return all(map(_is_numeric, answer))
    if isinstance(answer, dict):
        return all(map(_is_numeric, answer.values()))
    return isinstance(answer, torch.Tensor | bool | int | float)


def row(candidate: Candidate) -> str:
    """The line of the table: each way that it answers as eager in, or why it is refused."""
    pt2, onnx_ = (_reason(way, candidate) for way in (_check_pt2, _check_onnx))
    return f"| {candidate.what} | {pt2 or 'yes'} | {'the same' if pt2 and pt2 == onnx_ else onnx_ or 'yes'} |\n"


def _reason(check: Callable[[Candidate], None], candidate: Candidate) -> str | None:
    """Why it is refused; None once it has been checked."""
    try:
        check(candidate)
    except D2SError as error:
        text = str(error).splitlines()[0]
        return re.sub(r"^\S+\.py:\d+: ", "", text).replace("|", "\\|")
    return None


def _check_pt2(candidate: Candidate) -> None:
    program = d2s.to_exported(candidate.make(), list(candidate.inputs[0]))
    with TemporaryDirectory() as folder:
        torch.export.save(program, Path(folder) / "program.pt2")
        program = torch.export.load(Path(folder) / "program.pt2")
    for args, want in zip(candidate.inputs, _answers(candidate), strict=True):
        torch.manual_seed(0)
        got = program.module()(*copy.deepcopy(args))
        assert same(as_tensors(want), got, 1e-5), f"{got} instead of {want}"


def _check_onnx(candidate: Candidate) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        d2s.to_onnx(candidate.make(), path, list(candidate.inputs[0]))
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path))
    names = [one.name for one in session.get_inputs()]
    for args, want in zip(candidate.inputs, _answers(candidate), strict=True):
        tensors = _tensors(args)
        given = tensors if len(tensors) == len(names) else _tensors(as_tensors(args))
        made = session.run(None, {name: one.numpy() for name, one in zip(names, given, strict=True)})
        got = [torch.as_tensor(one) for one in made]
        assert same(_tensors(as_tensors(want)), got, 1e-4), f"{got} instead of {want}"


def _tensors(tree: Any) -> list[torch.Tensor]:
    parts = tree.values() if isinstance(tree, dict) else tree
    if isinstance(tree, dict | tuple | list):
        return [leaf for part in parts for leaf in _tensors(part)]
    return [tree] if isinstance(tree, torch.Tensor) else []


def document() -> tuple[str, list[str]]:
    """What `docs/exporting.md` says before its tables, and their rows as they are."""
    before, _, table = _DOCUMENT.read_text().partition(_MARK)
    return before, [f"{line}\n" for line in table.splitlines() if line.startswith("|") and line not in _HEAD]


def write_document() -> None:
    """Bring `docs/exporting.md` up to date."""
    tables = ""
    found = candidates()
    for group in dict.fromkeys(one.group for one in found):
        tables += f"\n## {group.capitalize()}\n{_HEAD}" + "".join(row(one) for one in found if one.group == group)
    _DOCUMENT.write_text(document()[0] + _MARK + tables)

"""The models that are measured: whole graphs forward and backward, with the answers and gradients of eager."""

from __future__ import annotations

import copy

import pytest
import torch
from cases import SMALL, Case, inference, training_step
from compare import same

import d2s
from d2s.runtime.backend import compiling

TRAINED = [case for case in SMALL if case.trains]


def instances(case: Case, monkeypatch, folder: str = ""):
    """The model and the same one static, compiled from the first call on, with three inputs for them.

    `folder` is where compiled graphs are kept.
    """
    monkeypatch.setenv("D2S_CACHE_DIR", folder)
    monkeypatch.setattr(compiling, "_TRIALS", 0)
    torch.manual_seed(0)
    model = case.make()
    given = [case.inputs() for _ in range(3)]
    given[1] = tuple(one / 20 if one.is_floating_point() else one // 2 for one in given[1])
    return model, d2s.to_static(copy.deepcopy(model), full_graph=True, backend="inductor"), given


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_inference(case, monkeypatch, tmp_path):
    model, static, given = instances(case, monkeypatch, str(tmp_path))
    for inputs in given:
        want, got = (inference(one, inputs) for one in (model, static))
        assert same(want, got, 1e-4), f"{got} instead of {want}"
    (program,) = static.forward.programs
    assert program.not_compiled is None


@pytest.mark.parametrize("case", TRAINED, ids=lambda case: case.name)
def test_training(case, monkeypatch):
    model, static, given = instances(case, monkeypatch)
    for inputs in given:
        want, got = (training_step(one, inputs) for one in (model, static))
        assert same(_without_history(want), _without_history(got), 1e-3), f"{got} instead of {want}"
    (program,) = static.forward.programs
    assert program.not_compiled is None


def _without_history(found):
    answer, gradients = found
    parts = answer if isinstance(answer, tuple) else (answer,)
    return [one.detach() if isinstance(one, torch.Tensor) else one for one in parts], gradients

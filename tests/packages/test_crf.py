"""A conditional random field: its loss, and the best path by Viterbi's algorithm, for sequences of any length."""

from __future__ import annotations

from typing import Any

import torch
from compare import same
from torchcrf import CRF

import d2s

TAGS = 5


def made() -> Any:
    torch.manual_seed(0)
    return CRF(TAGS, batch_first=True)


def inputs() -> list[tuple[Any, Any, Any]]:
    torch.manual_seed(1)
    emissions, tags = torch.randn(3, 7, TAGS), torch.randint(TAGS, (3, 7))
    lengths = [7, 3, 2], [1, 7, 4], [7, 7, 7]
    return [(emissions, tags, torch.arange(7)[None] < torch.tensor(length)[:, None]) for length in lengths]


def test_loss_and_its_gradients() -> None:
    eager, static = made(), d2s.to_static(made(), full_graph=True)
    for emissions, tags, mask in inputs():
        want, got = (crf(emissions, tags, mask=mask) for crf in (eager, static))
        assert same(want, got)
        want.backward()
        got.backward()
        assert same(eager.transitions.grad, static.transitions.grad)
    assert len(static.forward.programs) == 1


def test_decoding() -> None:
    crf = made()
    static = d2s.to_static(crf.decode, full_graph=True)
    for emissions, _, mask in inputs():
        assert same(crf.decode(emissions, mask=mask), static(emissions, mask=mask))
    assert len(static.programs) == 1

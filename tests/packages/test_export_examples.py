"""The examples by which torch.export says what it supports, and what it does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from compare import outcome, same
from torch._export.db.examples import all_examples

import d2s

EXAMPLES = all_examples()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_example(name: str) -> None:
    example = EXAMPLES[name]

    def called(model: Any) -> Any:
        args, kwargs = copy.deepcopy((example.example_args, example.example_kwargs))
        return outcome(lambda: model(*args, **kwargs))

    want = called(copy.deepcopy(example.model))
    static = d2s.to_static(copy.deepcopy(example.model), full_graph=True)
    got = called(static)
    assert same(want, got), f"{got} instead of {want}"
    assert same(want, called(static))
    assert len(static.forward.programs) == 1

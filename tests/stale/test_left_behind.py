"""A capture leaves every object that can be reached as it was, also one that is given up."""

from __future__ import annotations

import copy

import language
import pytest
import torch
from inventory import differences, inventory, of_a_recording

import d2s

FEATURES = language.load()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: f"{feature.group}/{feature.name}")
def test_everything_is_as_it_was(feature: language.Feature) -> None:
    thing = language.made(feature.thing)
    static = d2s.to_static(thing, full_graph=True)
    capture = static.forward if isinstance(static, torch.nn.Module) else static
    for given in feature.inputs:
        args = copy.deepcopy(given)
        before = inventory(thing, args)
        try:
            capture.concrete_program(*args)
        except d2s.ConversionError:
            assert feature.eager or feature.missing
        after = inventory(thing, args)
        assert not differences(before, after)
        assert not of_a_recording(after)

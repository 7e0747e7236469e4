"""Every feature of the language does what `docs/language.md` says of it."""

from __future__ import annotations

import pytest
from language import Feature, check_feature, document, load, made, observe

import d2s

FEATURES = load()
NAMES = [f"{feature.group}-{feature.name}" for feature in FEATURES]


@pytest.mark.parametrize("feature", FEATURES, ids=NAMES)
def test_feature(feature: Feature) -> None:
    if feature.status == "captured":
        check_feature(feature)
        return
    static = d2s.to_static(made(feature.thing), full_graph=True)
    outcomes = [observe(static, args)[0] for args in feature.inputs]
    errors = [str(found[1]) for found in outcomes if type(found) is tuple and found[:1] == (d2s.ConversionError,)]
    assert errors, "it is captured now: say so"
    assert all(feature.code in error for error in errors)


def test_names_differ() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_the_table() -> None:
    found, expected = document()
    assert found == expected, "run `make language`"

"""Warnings of the user's, and their filters: given at each run as eager gives them, or refused."""

import warnings

import pytest
import torch
from compare import same

import d2s


def hides(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("hidden", UserWarning)  # noqa: B028
    return x


def makes_an_error(x):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            warnings.warn("a", UserWarning)  # noqa: B028
        except UserWarning:
            return x * 100
    return x


def catches(x):
    try:
        warnings.warn("a", UserWarning)  # noqa: B028
    except UserWarning:
        return x * 100
    return x


@pytest.mark.parametrize("function", [hides, makes_an_error, catches])
@pytest.mark.parametrize("action", ["always", "error"])
def test_under_filters(function, action):
    found = []
    for thing in (function, d2s.to_static(function)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            warnings.simplefilter("ignore", d2s.FallbackWarning)
            answers = [thing(torch.ones(2)) for _ in range(2)]
        found.append((answers, [(one.category.__name__, str(one.message)) for one in caught]))
    assert same(found[0], found[1])


def warns(x):
    warnings.warn("old", DeprecationWarning)  # noqa: B028
    warnings.warn(FutureWarning("older"))  # noqa: B028
    return x


def test_the_category():
    static = d2s.to_static(warns, full_graph=True)
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            static(torch.ones(2))
        given = [(one.category, str(one.message)) for one in caught]
        assert (DeprecationWarning, "old") in given and (FutureWarning, "older") in given

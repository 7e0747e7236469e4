"""Warnings of the user's, and their filters: given at each run as eager gives them, or refused."""

import logging
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


log = logging.getLogger("d2s.test.places")


def told(x):
    warnings.warn("old", DeprecationWarning)  # noqa: B028
    log.warning("of %s", x.shape)
    logging.getLogger("d2s.test.places").log(
        logging.ERROR,
        "more",
    )
    logging.info("for %s", "all")
    return x


def test_the_line_that_is_told(caplog):
    def outer(x):
        if x.sum() > 0:
            log.error("positive")
        return told(x)

    static, seen = d2s.to_static(outer, full_graph=True), []
    caplog.set_level(logging.INFO)
    for function in (outer, static, static):
        caplog.clear()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            function(torch.ones(2))
        places = [(record.pathname, record.lineno, record.funcName, record.module) for record in caplog.records]
        seen.append(([(one.filename, one.lineno) for one in caught], places))
    assert seen[0] == seen[1] == seen[2]
    assert len(seen[0][1]) == 4


def test_a_warning_is_given_once_for_a_line():
    static, counts = d2s.to_static(told, full_graph=True), []
    for function in (told, static):
        globals().pop("__warningregistry__", None)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            for _ in range(3):
                function(torch.ones(2))
        counts.append(len(caught))
    assert counts == [1, 1]

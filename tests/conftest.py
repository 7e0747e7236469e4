"""Tests compile for their process only, which takes half the time, but where they say otherwise."""

import pytest


@pytest.fixture(autouse=True)
def without_kept_graphs(monkeypatch):
    monkeypatch.setenv("D2S_CACHE_DIR", "")

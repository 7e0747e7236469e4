"""Compiled graphs on disk: another function that makes the same graph loads it, with its guards and own constants."""

import pytest
import torch
from compare import check_calls

import d2s
from d2s.runtime.backend import cache, compiling


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(compiling, "_TRIALS", 0)
    monkeypatch.setenv("D2S_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def written(monkeypatch):
    """The packages that are written."""
    found = []

    def noting(traced, path):
        found.append(path)
        write(traced, path)

    write = cache.write_graph
    monkeypatch.setattr(cache, "write_graph", noting)
    return found


def scaled_by(constants):
    """A function of its own at each call, with constants of its own."""

    def f(x, y):
        scale, least = torch.tensor(constants), torch.tensor(40.0)
        while x.sum() < least:
            x = x * scale + y
        return x

    return f


def compiled(function, *calls, **options):
    static = d2s.to_static(function, backend="inductor", **options)
    check_calls(function, static, calls, 1e-6)
    assert static.programs[0].not_compiled is None
    return static.programs[0]._run.inference


def test_the_same_graph_is_compiled_once(folder, written):
    calls = [(torch.ones(3, 2) * n, torch.ones(3, 2)) for n in (1, 9)]
    compiled(scaled_by([1.0, 2.0]), *calls)
    assert len(written) == 1 and sorted(one.suffix for one in folder.iterdir()) == [".guards", ".pt2"]
    compiled(scaled_by([1.5, 3.0]), *calls)
    assert len(written) == 1
    compiled(lambda x, y: scaled_by([1.5, 3.0])(x, y) + 1, *calls)
    assert len(written) == 2


def test_guards_of_sizes_are_kept(folder, written):
    spec = {"input_spec": [d2s.InputSpec([None, 2]), d2s.InputSpec([None, 2])]}
    calls = [(torch.ones(n, 2), torch.ones(m, 2)) for n, m in ((3, 3), (5, 5), (3, 1))]
    first = compiled(scaled_by([1.0, 2.0]), *calls, **spec)
    count = len(written)
    assert 1 < count == len(first._graphs)
    assert len(compiled(scaled_by([1.0, 2.0]), *calls, **spec)._graphs) == len(written) == count


def test_what_was_deleted_is_made_again(folder, written):
    calls = [(torch.ones(3, 2), torch.ones(3, 2))]
    compiled(scaled_by([1.0, 2.0]), *calls)
    next(folder.glob("*.pt2")).unlink()
    compiled(scaled_by([1.0, 2.0]), *calls)
    assert len(written) == 2


def test_a_folder_that_cannot_be_written_is_a_reason(folder):
    folder.write_text("")
    static = d2s.to_static(scaled_by([1.0, 2.0]), backend="inductor")
    check_calls(scaled_by([1.0, 2.0]), static, [(torch.ones(3, 2), torch.ones(3, 2))])
    assert "can't compile it" in static.programs[0].not_compiled

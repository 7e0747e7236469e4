"""Functions are read from wherever Python has their source: files of every make, cells, doctests; `exec` has none."""

from __future__ import annotations

import asyncio
import doctest
import linecache
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from compare import same
from loading import load_module

import d2s

BODY = """def f(x):
    if x.sum() > 0:
        y = x * 2  # é
    else:
        y = -x
    return y, 'é'
"""
LATIN = f"# -*- coding: latin-1 -*-\n{BODY}".encode("latin-1")
FILES = {
    "a byte order mark": b"\xef\xbb\xbf" + BODY.encode(),
    "tabs": BODY.replace("    ", "\t").encode(),
    "an encoding comment": LATIN,
    "lines that end as on Windows": BODY.replace("\n", "\r\n").encode(),
    "a form feed": f"\f\n{BODY}".encode(),
    "continued lines": b"def f(x):\n    return (x\n  * 2) if x.sum() \\\n        > 0 else -x\n",
    "uneven indents": b"if True:\n  def f(x):\n        if x.sum() > 0: return x\n        else:\n         return -x\n",
    "statements on one line": b"def f(x): y = x * 2; return y if y.sum() > 0 else x\n",
    "two functions on one line": b"f, g = lambda x: x * 2 if x.sum() > 0 else x, lambda x: x * 3\n",
}


def check_captured(function: Callable[..., Any]) -> None:
    static = d2s.to_static(function, full_graph=True)
    for x in (torch.ones(2), -torch.ones(2)):
        assert same(static(x), function(x))
    assert len(static.programs) == 1


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_a_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "written.py"
    path.write_bytes(content)
    check_captured(load_module(path).f)


def test_a_cell_of_a_notebook() -> None:
    name = "<ipython-input-1-0123456789ab>"
    linecache.cache[name] = len(BODY), None, BODY.splitlines(keepends=True), name
    namespace: dict[str, Any] = {}
    exec(compile(BODY, name, "exec"), namespace)
    check_captured(namespace["f"])


def documented() -> None:
    """
    >>> @d2s.to_static(full_graph=True)
    ... def f(x):
    ...     if x.sum() > 0:
    ...         return x * 2
    ...     return -x
    >>> f(torch.ones(1)), f(-torch.ones(1)), len(f.programs)
    (tensor([2.]), tensor([1.]), 1)
    """


def test_a_doctest() -> None:
    (test,) = doctest.DocTestFinder().find(documented, globs={"d2s": d2s, "torch": torch})
    found = doctest.DocTestRunner().run(test)
    assert (found.attempted, found.failed) == (2, 0)


def test_what_exec_has_made_runs_in_eager() -> None:
    namespace: dict[str, Any] = {}
    exec(BODY, namespace)
    function = namespace["f"]
    with pytest.raises(d2s.ConversionError, match="D2S305.*define it in a file"):
        d2s.to_static(function, full_graph=True)(torch.ones(2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert same(d2s.to_static(function)(-torch.ones(2)), function(-torch.ones(2)))
    assert [str(warning.message).count("D2S305") for warning in caught] == [1]


async def doubled(x):
    return x * 2


def test_async_is_fenced() -> None:
    def waits(x):
        return asyncio.run(doubled(x)) if x.sum() > 0 else x

    for function in (doubled, waits):
        with pytest.raises(d2s.ConversionError, match="D2S309.*doubled is `async`"):
            d2s.to_static(function, full_graph=True)(torch.ones(2))


def test_an_asynchronous_generator_is_fenced() -> None:
    async def items(x):
        yield x

    with pytest.raises(d2s.ConversionError, match="D2S309"):
        d2s.to_static(items, full_graph=True)(torch.ones(2))


def test_a_file_that_changes_after_its_import(tmp_path: Path) -> None:
    file = tmp_path / "edited.py"
    file.write_text("def f(x):\n    return x + 1\n")
    edited = load_module(file)
    file.write_text("def f(x):\n    return x + 2\n")
    with pytest.raises(d2s.ConversionError, match="D2S305.*the file has changed"):
        d2s.to_static(edited.f, full_graph=True)(torch.ones(1))


def first(x, factor=2, *, more=1):
    return x * factor + more


def second(x, factor=3, *, more=2):
    return x / factor - more


def test_other_code_and_defaults() -> None:
    function = types.FunctionType(first.__code__, globals(), "first", first.__defaults__)
    function.__kwdefaults__ = {"more": 1}
    static = d2s.to_static(function, full_graph=True)
    for name, value in [
        ("__code__", second.__code__),
        ("__defaults__", (5,)),
        ("__kwdefaults__", {"more": 4}),
        ("__code__", first.__code__),
    ]:
        assert same(static(torch.ones(1)), function(torch.ones(1)))
        setattr(function, name, value)
        assert same(static(torch.ones(1)), function(torch.ones(1)))
    assert function.__kwdefaults__ is not None
    function.__kwdefaults__["more"] = 9
    assert same(static(torch.ones(1)), function(torch.ones(1)))

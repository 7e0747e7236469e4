"""What is printed parses to the tree that was printed."""

from __future__ import annotations

import ast
from pathlib import Path

import gast
import pytest

import d2s
from d2s.transforms.printing import to_source

NEWER_SYNTAX = '''
@dec(1)
def f(a, b: int = 2, /, *c, d=1e-30, **e) -> int:
    """doc
    string"""
    x: int
    with open('a') as g, h():
        pass
    match a:
        case [1, *rest] if rest:
            y = 1
        case {"k": v, **kw}:
            for q in range(3):
                if q:
                    return f"{a!r:>{b}} {'x'} {{}}"
        case P(x=1) | None:
            pass
    if a:
        match b:
            case 1:
                pass
    try:
        1 if a else (yield b)
    except* E as e:
        print(a if (n := 10) > 5 else -b ** 2, lambda: 0, x[1:2, ::3], not (a and b or c))
    a, (b, *c) = d
    x = {**(a or b), 1: 2}, [*(a if b else c), *(not a,)]
    return -1j + 1e999, (yield), "a\\nb'\\"", b"x", ..., (-1) ** 2, x[(1, 2)], {**e}, [*c], 1 .real
async def g():
    await x
    async for i in y:
        pass
    async with a as b:
        return [i async for i in y if i if not i]
'''


def check(source: str) -> None:
    printed = to_source(gast.parse(source))
    assert ast.dump(ast.parse(printed)) == ast.dump(ast.parse(source))


def test_newer_syntax() -> None:
    check(NEWER_SYNTAX)


FILES = sorted(Path(d2s.__file__).parent.parent.rglob("*.py"))
FILES = [path for path in FILES if not {".venv", ".versions", "build"} & set(path.parts)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_projects_own_files(path: Path) -> None:
    check(path.read_text())

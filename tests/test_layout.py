"""The direction of imports: `d2s` may use `transforms` and `runtime`; those two know nothing above them."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"transforms": "d2s.transforms", "runtime": "d2s.runtime"}
FORBIDDEN = {
    "transforms": ("torch", "d2s.runtime"),
    "runtime": ("gast", "astor", "d2s.transforms"),
}


def imported_modules(path: Path) -> set[str]:
    """The modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def reaches(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_down(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        for module in imported_modules(path):
            assert not any(reaches(module, package) for package in FORBIDDEN[folder]), (path, module)
            if reaches(module, "d2s"):
                assert reaches(module, FOLDERS[folder]), (path, module)


def test_a_folder_of_tests_for_each_package() -> None:
    for folder in ("d2s", *FOLDERS):
        assert (ROOT / "tests" / folder).is_dir()

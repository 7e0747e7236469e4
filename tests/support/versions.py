"""Runs the tests in an environment for each combination of Python and torch that can be had: `make versions`.

Each is made in a folder of its own and kept for the next time. A Python is found as `python3.12` and the like on the
PATH; one that is not there is left out, and so is a torch for which the disk has no room.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
DOCUMENT = ROOT / "docs" / "versions.md"
COMBINATIONS = [
    ("3.11", "2.11.0"),
    ("3.11", "2.12.1"),
    ("3.11", "2.13.0"),
    ("3.11", "2.14.1"),
    ("3.12", "2.13.0"),
    ("3.13", "2.13.0"),
]
# A torch for CUDA with all that it draws.
_ROOM = 8 * 2**30
_SUMMARY = re.compile(r"(\d+) (failed|passed|skipped|xfailed|error)")


def environment(python: str, torch: str, folder: Path) -> Path | str:
    """The interpreter of the environment for these versions; in words why it can't be had."""
    home = folder / f"python{python}-torch{torch}"
    interpreter, done = home / "bin" / "python", home / ".installed"
    if done.exists():
        return interpreter
    base = shutil.which(f"python{python}")
    if base is None or subprocess.run([base, "--version"], capture_output=True).returncode:
        return f"no Python {python} was there"
    if shutil.disk_usage(folder).free < _ROOM:
        return "the disk had no room"
    subprocess.run([base, "-m", "venv", home], check=True)
    constraints = home / "constraints.txt"
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    constraints.write_text("\n".join(line for line in lines if not line.startswith("torch==")))
    install: list[str | Path] = [interpreter, "-m", "pip", "install", "--quiet", "--constraint", constraints]
    for what in ([f"torch=={torch}"], [f"torch=={torch}", "--editable", f"{ROOT}[test]"]):
        if subprocess.run([*install, *what]).returncode:
            return "it could not be installed"
    done.touch()
    return interpreter


def tested(interpreter: Path, arguments: Iterable[str]) -> str:
    """What the tests end with there, such as `1900 passed, 2 skipped`."""
    command: list[str | Path] = [interpreter, "-m", "pytest", "-n", "auto", "-p", "no:cacheprovider"]
    run = subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    last = ""
    for line in run.stdout:
        sys.stdout.write(line)
        last = line.strip() or last
    run.wait()
    found = [f"{count} {what}" for count, what in _SUMMARY.findall(last)]
    return ", ".join(found) if found else f"ended with {run.returncode}: {last}"


def document(rows: Iterable[tuple[str, str, str]]) -> str:
    """The page that says what was run."""
    head = (
        "# Versions\n\n"
        "d2s is tested with torch 2.11 to 2.14 and Python 3.11 to 3.13. What differs between them stays in\n"
        "`runtime/torch_internals/`. With another version it warns once, when it is imported.\n\n"
        "`make versions` makes an environment for each combination below that the machine can have, some 5 GB each\n"
        "with a torch for CUDA, runs the tests in it and writes this table.\n\n"
        "| Python | torch | the tests |\n|---|---|---|\n"
    )
    return head + "".join(f"| {python} | {torch} | {outcome} |\n" for python, torch, outcome in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / ".versions", help="where the environments are kept")
    parser.add_argument("tests", nargs="*", help="tests to run instead of all; then the table is only printed")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    rows = []
    for python, torch in COMBINATIONS:
        found = environment(python, torch, options.folder)
        outcome = f"not run: {found}" if isinstance(found, str) else tested(found, options.tests)
        rows.append((python, torch, outcome))
    text = document(rows)
    sys.stdout.write(text)
    if not options.tests:
        DOCUMENT.write_text(text)
    return int(any("failed" in row[2] or "error" in row[2] for row in rows))


if __name__ == "__main__":
    sys.exit(main())

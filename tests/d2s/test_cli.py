"""`d2s convert`: files that run by themselves, and clear words for bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from d2s.cli import main

SCRIPT = '''"""A script."""
from __future__ import annotations

import torch

import d2s


def helper(x):
    if x.sum() > 3:
        return x * 2
    return x


@d2s.to_static(full_graph=True)
def grow(x):
    # Until it is large.
    while x.sum() < 10:
        x = helper(x) + 1
    return x


class Net(torch.nn.Module):
    __gain = 3

    def forward(self, x):
        self.__last = x
        for row in x:
            if row < 0:
                return -x * self.__gain
        return self.__last


def untouched(x):
    return [v for v in x if v]  # stays as it is


net = Net()
d2s.to_static(net)
print(grow(torch.ones(2)), grow(torch.ones(2) * 7), net(torch.ones(2)), net(-torch.ones(2)), untouched([0, 1]))
print(len(grow.programs), len(net.forward.programs))
'''


def run(path: Path) -> str:
    done = subprocess.run([sys.executable, "-W", "ignore", path], capture_output=True, text=True, check=True)
    return done.stdout


def test_the_converted_file_runs_by_itself_and_prints_the_same(tmp_path: Path) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out.py"
    script.write_text(SCRIPT)
    assert main(["convert", str(script), "-o", str(out)]) == 0
    text = out.read_text()
    assert "_d2s.while_(" in text and "_d2s.for_(" in text and "def if_true" in text
    assert "return [v for v in x if v]  # stays as it is" in text
    assert text.startswith('"""A script."""\nfrom __future__ import annotations\n')
    want = run(script)
    script.unlink()
    assert run(out) == want
    assert want.endswith("1 1\n")


def test_output_diff_and_passes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    assert main(["convert", str(script)]) == 0
    whole = capsys.readouterr().out
    compile(whole, "whole", "exec")
    assert main(["convert", str(script), "--diff"]) == 0
    diff = capsys.readouterr().out
    assert "-    while x.sum() < 10:" in diff and "+    _d2s.while_(" in diff
    assert main(["convert", str(script), "--passes"]) == 0
    passes = capsys.readouterr().out
    assert "# helper after returns\ndef helper(x):" in passes
    assert "# Net.forward after ifs\n" in passes and "# grow after returns: unchanged" in passes


@pytest.mark.parametrize(
    "content, words",
    [
        ("def f(x:\n    pass\n", ":1: "),
        ("def f(x):\n    return x\n", "nothing to convert"),
        (None, "No such file"),
    ],
)
def test_bad_input_gives_one_line_and_status_2(
    content: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, out = tmp_path / "script.py", tmp_path / "out.py"
    if content is not None:
        script.write_text(content)
    assert main(["convert", str(script), "-o", str(out)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert words in said.err and said.err.count("\n") == 1 and "Traceback" not in said.err
    assert not out.exists()


def test_folders_binaries_and_the_file_itself_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, binary = tmp_path / "script.py", tmp_path / "binary.py"
    script.write_text(SCRIPT)
    binary.write_bytes(b"\xff\xfe\x00")
    for arguments in (
        [str(tmp_path)],
        [str(binary)],
        [str(script), "-o", str(script)],
        [str(script), "-o", str(tmp_path)],
        [str(script), "-o", str(tmp_path / "no" / "folder.py")],
    ):
        assert main(["convert", *arguments]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert script.read_text() == SCRIPT


def test_no_command_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2

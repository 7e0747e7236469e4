"""`d2s run`, `d2s explain` and `d2s inspect` on a file of a user's."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from d2s.cli import main
from d2s.errors import D2SError
from d2s.input_spec import InputSpec
from d2s.targets import parse_inputs

SCRIPT = """import sys

import torch

import d2s


@d2s.to_static
def scaled(x, times):
    if x.sum() > 0:
        for i in range(times):
            x = x * 2
    return x


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(16, 2)
        self.register_forward_hook(lambda module, args, answer: answer + 1)

    def forward(self, x):
        return self.layer(x) if x.sum() > 0 else self.layer(-x)


@d2s.to_static
class Odd(torch.nn.Module):
    def __init__(self, size=16):
        super().__init__()
        self.size = size

    def forward(self, x, index):
        return scaled(x, 2)[index] + eval("1")


class Sized(Net):
    def __init__(self, size):
        super().__init__()


ready = Sized(3)

if __name__ == "__main__":
    print(sys.argv[1:], scaled(torch.ones(2), 1), Odd()(torch.ones(3), 0))
    sys.exit(int(sys.argv[1]))
"""


@pytest.fixture
def script(tmp_path: Path) -> str:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return str(path)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; from d2s.cli import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


def test_run_is_the_script_and_a_report(script):
    done = command("run", script, "3", "--flag")
    assert done.returncode == 3
    assert done.stdout == "['3', '--flag'] tensor([2., 2.]) tensor(5.)\n"
    assert "2 captured, 1 in eager" in done.stderr and "D2S303: eval() runs a text as code" in done.stderr


def test_run_shows_the_errors_of_the_script(tmp_path):
    path = tmp_path / "failing.py"
    path.write_text("import d2s\n\nprint(1 / 0)\n")
    done = command("run", str(path))
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr and "failing.py" in done.stderr


def test_explain_tells_what_is_captured(script, capsys):
    assert main(["explain", f"{script}:Net", "--input", "f32[batch,16]"]) == 0
    assert "1 captured, 0 in eager\ncaptured  Net.forward:" in capsys.readouterr().out
    assert main(["explain", f"{script}:ready.forward", "--input", "f32[batch,16]"]) == 0
    assert "1 captured" in capsys.readouterr().out
    assert main(["explain", f"{script}:Odd", "--input", "f32[3]", "--input", "i64[]"]) == 0
    said = capsys.readouterr().out
    assert "1 captured, 1 in eager" in said and "Odd.forward" in said and "change: write the code itself" in said


def test_inspect_shows_every_stage(script, capsys):
    assert main(["inspect", f"{script}:scaled", "--input", "f32[batch,2]", "--input", "3"]) == 0
    said = capsys.readouterr().out
    heads = [line for line in said.splitlines() if line.startswith("# ")]
    assert heads[:3] == ["# source", "# after supers", "# after tails: unchanged"]
    assert heads[-4:] == ["# after declarations: unchanged", "# program", "# guards", "# function"]
    assert "def scaled(x, times):" in said and "def if_true():" in said
    assert "a1: float32[?, 2] from x,  # argument" in said and "torch.Tensor.mul(a1, 2)" in said
    assert "\x1b" not in said


def test_inspect_of_a_module_shows_its_forward(script, capsys):
    assert main(["inspect", f"{script}:Net", "--input", "f32[4,16]"]) == 0
    said = capsys.readouterr().out
    assert "def forward(self, x):" in said and "torch.nn.functional.linear" in said and "self.layer.weight" in said


def test_inspect_is_in_colour_on_a_terminal(script):
    ours, theirs = pty.openpty()
    code = "from d2s.cli import main; main()"
    arguments = [sys.executable, "-c", code, "inspect", f"{script}:scaled", "--input", "f32[2]", "--input", "1"]
    environment = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {
        "TERM": "xterm-256color"
    }
    with subprocess.Popen(arguments, stdout=theirs, stderr=theirs, env=environment):
        os.close(theirs)
        said = b""
        while part := _read(ours):
            said += part
    os.close(ours)
    assert b"\x1b[" in said and b"if_true" in said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side is closed
        return b""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "none.py"], "none.py: no such file"),
        (["explain", "script.py"], "write it as file.py:target"),
        (["explain", "none.py:f"], "none.py: no such file"),
        (["explain", "script.py:nothing"], "has no nothing"),
        (["explain", "script.py:Sized"], "is not made without arguments"),
        (["explain", "script.py:Net", "--input", "f31[2]"], "f31 is no dtype"),
        (["explain", "script.py:Net", "--input", "f32[2.5]"], "a size is a number, or a name"),
        (["explain", "script.py:Net", "--input", "four"], "a value as Python writes it"),
        (["explain", "script.py:Net", "--input", "f32[4,3]"], "raises RuntimeError"),
        (["inspect", "script.py:Odd", "--input", "f32[3]", "--input", "0"], "D2S303"),
        (["inspect", "script.py:scaled", "--input", "f32[3]"], "missing 1 required positional argument: 'times'"),
        (["inspect", "script.py:sys.path", "--input", "f32[3]"], "can't be called"),
        (["inspect", "script.py:max", "--input", "f32[3]"], "has no max"),
        (["inspect", "script.py:torch.relu", "--input", "f32[3]"], "is not written in Python"),
        (["inspect", "broken.py:f"], "broken.py:1: "),
        (["inspect", "failing.py:f"], "failing.py:1: ZeroDivisionError"),
    ],
)
def test_bad_input_gives_one_line_and_status_2(arguments, words, script, monkeypatch, capsys):
    monkeypatch.chdir(Path(script).parent)
    Path("broken.py").write_text("def f(:\n")
    Path("failing.py").write_text("1 / 0\n")
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1 and said.startswith("d2s: ")


def test_inputs():
    arguments, specs = parse_inputs(["f32[batch,16]", "bf16[batch,seq]", "int64[]", "3", "[1, 'a']"])
    shapes = [argument.shape for argument in arguments[:3]]
    assert shapes[0][0] == shapes[1][0] != shapes[1][1] and shapes[0][1] == 16 and shapes[2] == ()
    assert specs[:3] == [InputSpec([None, 16]), InputSpec([None, None], torch.bfloat16), InputSpec([], torch.int64)]
    assert arguments[3:] == [3, [1, "a"]] and specs[3:] == [None, None]
    with pytest.raises(D2SError):
        parse_inputs(["f32[-1]"])

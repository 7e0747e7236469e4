"""The command `d2s`."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from d2s.archives import EXPORTERS, export_target, rescue, save_target, show_archive
from d2s.commands import run, show_explanation, show_stages
from d2s.conversion import headed
from d2s.errors import D2SError
from d2s.files import ConvertedFile, convert_text
from d2s.runtime.archive.atomic import whole_file
from d2s.runtime.torch_internals.versions import __version__

BAD_INPUT = 2
_TARGET = "file.py:name of a function, a module, or a class of modules"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status, 2 for bad input."""
    options = _parser().parse_args(arguments)
    try:
        options.command(options)
    except (D2SError, OSError) as error:
        reason = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else str(error)
        print(f"d2s: {reason}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="d2s", description="Turns dynamic PyTorch code into static programs.")
    parser.add_argument("--version", action="version", version=f"d2s {__version__} with torch {torch.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    convert = commands.add_parser("convert", help="rewrite the static functions of a file")
    convert.add_argument("file", type=Path, help="a Python file with functions marked @d2s.to_static")
    convert.add_argument("-o", "--output", type=Path, metavar="OUT", help="write here, not to standard output")
    convert.add_argument("--diff", action="store_true", help="show what changes instead of the new file")
    convert.add_argument("--passes", action="store_true", help="show each function after each pass")
    convert.set_defaults(command=_convert)
    running = commands.add_parser("run", help="run a script, and tell what became of its static functions")
    running.add_argument("file", type=Path, help="a Python file")
    running.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds in sys.argv")
    running.set_defaults(command=lambda options: run(options.file, options.arguments))
    for name, show, help_ in (
        ("explain", show_explanation, "tell what of a call is captured, and what runs in eager and why"),
        ("inspect", _inspect, "show the source, each pass, the program, its guards and the generated function"),
    ):
        parser_ = commands.add_parser(name, help=help_)
        _add_target(parser_, _TARGET if name == "explain" else f"{_TARGET}; or an archive, a .d2s file")
        parser_.set_defaults(command=lambda options, show=show: show(options.target, options.input))
    saving = commands.add_parser("save", help="write the programs and the weights of a target to an archive")
    _add_target(saving, _TARGET)
    saving.add_argument("-o", "--output", type=Path, metavar="OUT.d2s", required=True, help="the archive")
    saving.set_defaults(command=lambda options: save_target(options.target, options.input, options.output))
    exporting = commands.add_parser("export", help="write a target for other runtimes; a module in eval mode")
    _add_target(exporting, _TARGET)
    exporting.add_argument(
        "--to",
        choices=sorted([*EXPORTERS, "d2s"]),
        required=True,
        help="ONNX, an ExportedProgram, an AOTInductor package, or an archive of d2s",
    )
    exporting.add_argument("-o", "--output", type=Path, metavar="OUT", required=True, help="the file")
    exporting.set_defaults(
        command=lambda options: export_target(options.target, options.input, options.to, options.output)
    )
    rescuing = commands.add_parser("rescue", help="write a static graph as ordinary, readable PyTorch code")
    rescuing.add_argument("file", type=Path, help="a .pt file of TorchScript, a .pt2 of torch.export, or a .d2s")
    rescuing.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="OUT.py",
        help="write the source here, and the weights beside it; not to standard output",
    )
    rescuing.set_defaults(command=lambda options: rescue(options.file, options.output))
    return parser


def _add_target(parser: argparse.ArgumentParser, help_: str) -> None:
    parser.add_argument("target", help=help_)
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="INPUT",
        help='one for each argument: a tensor as in "f32[batch,16]", where a name is any size, or a Python value',
    )


def _inspect(target: str, inputs: Sequence[str]) -> None:
    if target.endswith(".d2s"):
        show_archive(Path(target))
    else:
        show_stages(target, inputs)


def _convert(options: argparse.Namespace) -> None:
    text = _read(options.file)
    converted = convert_text(text, str(options.file))
    shown = []
    if options.passes:
        shown.append(_stages(converted))
    if options.diff:
        shown.append(_diff(text, converted.text, options.file))
    if options.output is not None:
        _write(options.output, converted.text, options.file)
    elif not shown:
        shown.append(converted.text)
    sys.stdout.write("".join(shown))


def _read(path: Path) -> str:
    if path.is_dir():
        raise D2SError(f"{path}: is a folder; name a Python file")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise D2SError(f"{path}: is not a text in UTF-8") from error


def _write(path: Path, text: str, original: Path) -> None:
    """Write a whole file or nothing, and never over the original."""
    if path.exists() and path.samefile(original):
        raise D2SError(f"{path}: is the file to convert; name another one with -o")
    if path.is_dir():
        raise D2SError(f"{path}: is a folder; name a file with -o")
    with whole_file(path) as file:
        file.write(text.encode())


def _stages(converted: ConvertedFile) -> str:
    parts = []
    for name, stages in sorted(converted.stages.items()):
        parts += [f"# {name} {head}\n{source}" for head, source in headed(stages)]
    return "\n".join(parts)


def _diff(before: str, after: str, path: Path) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), f"{path} (converted)"
    )
    return "".join(lines)

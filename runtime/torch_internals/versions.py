"""Which versions of Python and torch d2s was tested with, and what is said where another one runs."""

from __future__ import annotations

import sys
import warnings
from importlib import metadata

import torch

# The first and the last: those between were tested too, see docs/versions.md.
TESTED_TORCH = (2, 11), (2, 14)
TESTED_PYTHON = (3, 11), (3, 13)

__version__ = metadata.version("d2s")


def untested() -> list[str]:
    """What runs here in a version that d2s was not tested with, in words; empty if all were."""
    return [
        f"{name} {_text(version)}, not with {_text(first)} to {_text(last)}"
        for name, version, (first, last) in (
            ("torch", _torch_version(), TESTED_TORCH),
            ("Python", sys.version_info[:2], TESTED_PYTHON),
        )
        if not first <= version <= last
    ]


def warn_if_untested() -> None:
    """Warn, once a process, where d2s may fail for the versions that it runs with."""
    found = untested()
    if found:
        warnings.warn(
            f"d2s {__version__} runs with {' and '.join(found)}, with which it was tested. What fails for that runs "
            "in eager, without a further warning",
            UserWarning,
            stacklevel=2,
        )


def _torch_version() -> tuple[int, int]:
    major, minor = torch.__version__.split(".")[:2]
    return int(major), int(minor)


def _text(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))

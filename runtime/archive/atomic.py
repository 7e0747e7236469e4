"""Writes a file that appears whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write to, which is at the path when the context is left without an exception.

    Raises:
        OSError: it can't be written; what was at the path is there still.
    """
    target = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, _usual_mode())
        os.replace(name, target)
    except BaseException:
        os.unlink(name)
        raise


def _usual_mode() -> int:
    """The permissions that a new file has: a temporary one is its owner's only."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

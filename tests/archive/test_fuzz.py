"""Damaged and hostile archives: each gives a `LoadError` or a module, soon, and has nothing run.

So many are tried as the environment's `D2S_FUZZ` says.
"""

from __future__ import annotations

import faulthandler
import os
import random
import sys
import time
import warnings

import pytest
import torch
from mutations import mutated
from torch import nn

import d2s
from d2s.runtime.standalone.module import StaticModule

COUNT = int(os.environ.get("D2S_FUZZ", "600"))
SEED = int(os.environ.get("D2S_FUZZ_SEED", "0"))
# In seconds: what takes longer counts as hanging.
SOON = 10.0
NEVER = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "socket.connect",
    "shutil.",
    "pickle.",
)


class Net(nn.Module):
    """A bit of everything that an archive can hold."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.2)
        self.scale = torch.ones(4)
        self.calls = 0
        self.history: list[torch.Tensor] = []

    def forward(self, x, pair=(1, "a"), *, options=None):
        self.calls += 1
        h = self.norm(self.fc(x)) * self.scale
        while h.norm() > 2:
            h = self.drop(h) / 2
        if h.sum() > pair[0]:
            raise ValueError(f"too large: {h.sum().item()}")
        if x.sum() < 0:
            h = h[..., 1:].to(torch.float64)
        self.history.append(h.sum())
        with torch.no_grad():
            return {"h": h, "pair": pair}, torch.zeros(2, dtype=torch.float32)


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("fuzz") / "net.d2s"
    d2s.save(Net(), path, input_spec=[d2s.InputSpec([None, 4])])
    assert isinstance(d2s.load(path), StaticModule)
    return path.read_bytes()


def test_mutations(archive, tmp_path):
    chance = random.Random(SEED)
    path = tmp_path / "net.d2s"
    outcomes = {"loaded": 0, "refused": 0}
    slowest = 0.0
    with _watched(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(COUNT):
            path.write_bytes(mutated(archive, chance))
            faulthandler.dump_traceback_later(6 * SOON, exit=True)
            start = time.monotonic()
            try:
                loaded = d2s.load(path)
                outcomes["loaded"] += 1
                assert isinstance(loaded, StaticModule)
            except d2s.LoadError as error:
                outcomes["refused"] += 1
                assert len(str(error)) < 1000, number
            slowest = max(slowest, time.monotonic() - start)
            faulthandler.cancel_dump_traceback_later()
    print(f"{COUNT} mutations of seed {SEED}: {outcomes}, the slowest took {slowest:.2f} s")
    assert slowest < SOON and outcomes["refused"] > COUNT / 2


_watching: list[str] = []
_seen: list[str] = []


def _audit(event: str, args: tuple[object, ...]) -> None:
    if not _watching:
        return
    opened_elsewhere = (
        event == "open" and isinstance(args[0], str) and args[0] not in _watching and "w" in str(args[1])
    )
    if event.startswith(NEVER) or opened_elsewhere:
        _seen.append(f"{event} {args!r:.200}")


class _watched:
    """Meanwhile nothing is run, and no file is written but that one."""

    def __init__(self, path):
        self._path = str(path)

    def __enter__(self):
        sys.addaudithook(_audit)
        _seen.clear()
        _watching.append(self._path)

    def __exit__(self, kind, error, trace):
        _watching.clear()
        if error is None:
            assert _seen == []

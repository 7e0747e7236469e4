"""What code that is not rewritten does to the world: it does it at every call, and once."""

import csv
import dataclasses
import io
import json
import pprint
import traceback
from pathlib import Path

import pytest
import torch
from compare import same

import d2s

STREAM = io.StringIO()
# Without source, so that it can't be rewritten.
MADE: dict = {}
exec(
    """
import logging, os, random, sys
def printed(x):
    print("now")
    return x + 1
def written(x):
    sys.stdout.write("now")
    return x + 1
def logged(x):
    logging.getLogger("d2s.test").warning("now")
    return x + 1
def half_printed(x):
    print("the sum is", x.sum())
    return x + 1
def drawn(x):
    return x + random.random() * 0
""",
    MADE,
)


def pretty(x):
    pprint.pprint({"a": 1})
    return x + 1


def stack(x):
    traceback.print_stack(limit=1)
    return x + 1


def helped(x):
    help(len)
    return x + 1


def dumped(x):
    json.dump([1], STREAM)
    return x + 1


def row(x):
    csv.writer(STREAM).writerow([1, 2])
    return x + 1


def kept(path):
    def function(x):
        path.write_text(path.read_text() + "1")
        return x + 1

    return function


def calling(name):
    function = MADE[name]
    return lambda x: function(x)


CASES = {
    **{function.__name__: function for function in (pretty, stack, helped, dumped, row)},
    **{name: calling(name) for name in MADE if callable(MADE[name]) and name != "__builtins__"},
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_once_at_every_call(name, capfd, caplog):
    function, found = CASES[name], []
    for thing in (function, d2s.to_static(function)):
        STREAM.seek(0)
        STREAM.truncate()
        caplog.clear()
        capfd.readouterr()
        answers = [thing(torch.ones(2)) for _ in range(3)]
        told = capfd.readouterr()
        found.append((answers, told.out, len(told.err.splitlines()), STREAM.getvalue(), caplog.messages))
    assert same(found[0], found[1])
    with pytest.raises(d2s.ConversionError, match="D2S308"):
        d2s.to_static(function, full_graph=True)(torch.ones(2))


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_a_file(tmp_path: Path):
    path = tmp_path / "file"
    path.write_text("")
    static = d2s.to_static(kept(path))
    for _ in range(3):
        static(torch.ones(2))
    assert path.read_text() == "111"


FACTOR = 2


@dataclasses.dataclass
class Settings:
    scale: float = 2.0

    def __getattribute__(self, name):
        value = super().__getattribute__(name)
        return value * FACTOR if name == "scale" else value


def test_dataclasses_ask_the_users_objects(monkeypatch):
    found = []
    for static in (False, True):
        settings = Settings()

        def function(x, settings=settings):
            parts = dataclasses.asdict(settings)
            names = [field.name for field in dataclasses.fields(settings)]
            return x * parts["scale"] * dataclasses.replace(settings, scale=3.0).scale, names

        thing = d2s.to_static(function, full_graph=True) if static else function
        answers = [thing(torch.ones(2)), thing(torch.ones(2))]
        settings.scale = 5.0
        answers.append(thing(torch.ones(2)))
        with monkeypatch.context() as patch:
            patch.setitem(globals(), "FACTOR", 3)
            answers.append(thing(torch.ones(2)))
        found.append(answers)
    assert same(found[0], found[1])

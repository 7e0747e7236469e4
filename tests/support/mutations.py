"""Damaged and hostile archives, made from a good one by chance."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

Members = dict[str, bytes]

# What a field may be in place of what it should be.
HOSTILE: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1.5,
        2**31,
        2**63,
        2**64,
        10**400,
        1e308,
        float("nan"),
        "",
        "%",
        "%t0",
        "%a1",
        "%t999999999",
    ),
    *("../../etc/passwd", "os.system", "builtins.eval", "eval", "exec", "open", "torch.load", "torch.hub.load"),
    *("__class__", "__globals__", "self", "import", "x; import os", "x" * 10000, "\ud800", "float32[99999999999999]"),
    *("float32[2, 4] on cuda:0", "float32[" + "9, " * 100 + "9]", "float1[2]", "list", "d2s.attempt", "print"),
    *([], {}, [[]], [None] * 50, {"tuple": []}, {"tuple": {}}, {"function": "torch.save"}, {"function": "open"}),
    *({"tensor": "nothing"}, {"dtype": "load"}, {"dtype": "float99"}, {"range": [0, 10**18, 1]}, {"slice": [1]}),
    *({"dict": [[[], 1]]}, {"set": [[]]}, {"complex": ["a", 1]}, {"bytes": "zz"}, {"device": "nowhere:9"}, {"a": 1}),
    *(["self", {"own": "__class__"}], ["self", {"attribute": "__init__"}, {"attribute": "__globals__"}], ["nobody"]),
)


def unpacked(archive: bytes) -> Members:
    """The members of an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return {name: file.read(name) for name in file.namelist()}


def packed(members: Members, compression: int = zipfile.ZIP_STORED, again: str = "") -> bytes:
    """An archive of these members; `again` is one that is in it twice."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as file:
        for name, content in members.items():
            file.writestr(zipfile.ZipInfo(name), content, compression)
        if again:
            file.writestr(zipfile.ZipInfo(again), b"{}")
    return made.getvalue()


def mutated(archive: bytes, chance: random.Random) -> bytes:
    """The archive with one or more things wrong with it."""
    return chance.choice(_WAYS)(archive, chance)


def _flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _cut(data: bytes, chance: random.Random) -> bytes:
    first, last = sorted(chance.randrange(len(data)) for _ in range(2))
    return chance.choice((data[:first], data[first:], data[:first] + data[last:], data + data[first:last]))


def _a_member(change: Callable[[bytes, random.Random], bytes]) -> Callable[[bytes, random.Random], bytes]:
    """Change one member, in an archive whose checksums are right."""

    def way(archive: bytes, chance: random.Random) -> bytes:
        members = unpacked(archive)
        name = chance.choice([name for name in members if not name.startswith("code")])
        members[name] = change(members[name], chance) if members[name] else b""
        return packed(members)

    return way


def _json(archive: bytes, chance: random.Random) -> bytes:
    """Change fields of the JSON, in an archive whose checksums are right."""
    members = unpacked(archive)
    name = chance.choice([name for name in members if name.endswith(".json")])
    data = json.loads(members[name])
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        places = list(_places(data))
        if places:
            container, key = chance.choice(places)
            _change(container, key, chance)
    text = json.dumps(data)
    if chance.random() < 0.05:
        text = text.replace(": null", ": " + "[" * 100_000 + "]" * 100_000, 1)
    members[name] = text.encode("utf-8", "surrogatepass")
    return packed(members)


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with each key of it."""
    if isinstance(data, dict | list):
        for key in list(data) if isinstance(data, dict) else range(len(data)):
            yield data, key
            yield from _places(data[key])


def _change(container: Any, key: Any, chance: random.Random) -> None:
    match chance.randrange(6):
        case 0:
            del container[key]
        case 1:
            other = chance.choice(list(_places(container)))
            container[key] = json.loads(json.dumps(other[0][other[1]]))
        case 2:
            nested: Any = container[key]
            for _ in range(chance.choice((1, 5, 100))):
                nested = [nested] if chance.random() < 0.5 else {"tuple": [nested]}
            container[key] = nested
        case 3 if isinstance(container, dict):
            container[chance.choice(("__class__", "same", "if", "value", "%t1", "x y"))] = container.pop(key)
        case 4 if isinstance(container[key], int) and not isinstance(container[key], bool):
            container[key] = container[key] * chance.choice((-1, 0, 3, 10**9, 10**20)) + chance.choice((-1, 0, 1))
        case _:
            container[key] = copy.deepcopy(chance.choice(HOSTILE))


def _zip(archive: bytes, chance: random.Random) -> bytes:
    """Names that lead elsewhere, members that are there twice, compressed ones, missing ones."""
    members = unpacked(archive)
    name = chance.choice(list(members))
    match chance.randrange(5):
        case 0:
            del members[name]
        case 1:
            elsewhere = (
                "../" + name,
                "/tmp/" + name,
                "C:\\" + name,
                "programs/../" + name,
                "./" + name,
                name + "\0.py",
            )
            members[chance.choice(elsewhere)] = members.pop(name) if chance.random() < 0.5 else b"import os"
        case 2:
            return packed(members, zipfile.ZIP_DEFLATED)
        case 3:
            return packed(members, again=name)
        case 4:
            members[name] = bytes(10_000_000)
            return packed(members, zipfile.ZIP_DEFLATED)
    return packed(members)


_WAYS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flipped,
    _cut,
    _a_member(_flipped),
    _a_member(_cut),
    _json,
    _json,
    _json,
    _json,
    _zip,
)

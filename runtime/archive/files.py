"""Writes and reads `.d2s` archives.

An archive is a zip file whose members are not compressed: `d2s.json` (the schema's number, what `forward` takes, the
tree of modules), `programs/N.json`, `weights.safetensors`, and for people only `code/N.py`, which is never read.
"""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

from d2s.runtime.archive.atomic import whole_file
from d2s.runtime.archive.fields import Fields
from d2s.runtime.archive.modules import (
    Weights,
    class_name,
    decode_signature,
    encode_module,
    encode_signature,
    fill_module,
)
from d2s.runtime.archive.programs import decode_capture, encode_capture
from d2s.runtime.archive.trees import Trees, shown
from d2s.runtime.archive.weights import decode_weights, encode_weights, lookup
from d2s.runtime.errors import D2SError, LoadError
from d2s.runtime.standalone.module import ROOT, StaticModule

SCHEMA = 1
_MANIFEST, _WEIGHTS = "d2s.json", "weights.safetensors"
_MOST_PROGRAMS = 1000
# Of a message, in characters: a hostile file must not fill a log.
_LONGEST = 500

# ------------------------------------------------------------------ writing


def save_module(module: StaticModule, path: str | os.PathLike[str], versions: dict[str, str]) -> None:
    """Write a module's programs and weights to a file, which appears whole or not at all.

    Raises:
        D2SError: something in it can't be saved.
        OSError: the file can't be written.
    """
    members = _members(module, versions)
    _check(members)
    with whole_file(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for member, content in members.items():
            archive.writestr(zipfile.ZipInfo(member), content)


def _members(module: StaticModule, versions: dict[str, str]) -> dict[str, bytes]:
    weights = Weights()
    tree = encode_module(module, weights)
    programs = [encode_capture(one.capture, weights.key) for one in module.programs]
    known, numbers = encode_weights(weights.tensors)
    manifest = {
        "schema": SCHEMA,
        **versions,
        "name": module.d2s_name,
        "forward": encode_signature(module.d2s_signature),
        "programs": len(programs),
        "module": tree,
        "weights": known,
    }
    members = {_MANIFEST: _json(manifest)}
    members |= {f"programs/{number}.json": _json(program) for number, program in enumerate(programs)}
    members |= {f"code/{number}.py": one.code.encode() for number, one in enumerate(module.programs)}
    return members | {_WEIGHTS: numbers}


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()


def _check(members: dict[str, bytes]) -> None:
    """Go on only if what is written can be read: a name that a module can't have is found here."""
    try:
        _module(members)
    except LoadError as error:
        raise D2SError(f"this can't be saved: {error}") from error


# ------------------------------------------------------------------ reading


def load_module(path: str | os.PathLike[str]) -> StaticModule:
    """The module of an archive. Nothing in it is executed.

    Raises:
        LoadError: the file is damaged, or no archive.
        OSError: the file can't be read.
    """
    with open(path, "rb") as file:
        try:
            return _module(_read(file))
        except LoadError as error:
            raise LoadError(f"{os.fspath(path)} can't be loaded: {str(error)[:_LONGEST]}") from error
        except Exception as error:  # whatever the content of a hostile file makes of the checks
            raise LoadError(f"{os.fspath(path)} can't be loaded: it is damaged ({type(error).__name__})") from error


def _read(file: Any) -> dict[str, bytes]:
    """The members of an archive that count."""
    try:
        with zipfile.ZipFile(file) as archive:
            found: dict[str, bytes] = {}
            for one in archive.infolist():
                if one.compress_type != zipfile.ZIP_STORED or one.file_size != one.compress_size:
                    raise LoadError(f"{shown(one.filename)} in it is compressed")
                if one.filename in found:
                    raise LoadError(f"{shown(one.filename)} is in it twice")
                found[one.filename] = archive.read(one)
            return found
    except LoadError:
        raise
    except Exception as error:  # whatever a damaged file makes of the library
        raise LoadError(f"it is no whole archive: {error}") from error


def _module(members: dict[str, bytes]) -> StaticModule:
    if _MANIFEST not in members or _WEIGHTS not in members:
        raise LoadError("it is no archive of d2s")
    manifest = Fields(_parsed(members[_MANIFEST], _MANIFEST), _MANIFEST)
    schema, count = manifest.get("schema", int), manifest.get("programs", int)
    if schema != SCHEMA:
        raise LoadError(f"its schema is {schema}, and this version of d2s reads {SCHEMA}: use the one that wrote it")
    if not 0 < count <= _MOST_PROGRAMS:
        raise LoadError(f"it can't have {count} programs")
    _refuse_others(members, count)
    tensor_of = lookup(decode_weights(manifest.any("weights"), members[_WEIGHTS]))
    trees = Trees({}, tensor_of)
    signature = decode_signature(manifest.get("forward", list), trees)
    tree = manifest.any("module")
    name = manifest.get("name", str)
    if not name.isidentifier():
        raise LoadError(f"{shown(name)} is no name of a program")
    module = StaticModule(name, class_name(Fields(tree, "the module")), signature)
    fill_module(module, tree, tensor_of, trees)
    parameters = {ROOT, *signature.parameters}
    files = (f"programs/{number}.json" for number in range(count))
    module.d2s_set_captures([decode_capture(_parsed(members[one], one), parameters, tensor_of) for one in files])
    return module


def _refuse_others(members: dict[str, bytes], count: int) -> None:
    programs = {f"programs/{number}.json" for number in range(count)}
    known = {_MANIFEST, _WEIGHTS, *programs, *(f"code/{number}.py" for number in range(count))}
    others, missing = sorted(members.keys() - known), sorted(programs - members.keys())
    if others or missing:
        raise LoadError(f"{shown(others[0])} doesn't belong in it" if others else f"it has no {missing[0]}")


def _parsed(content: bytes, name: str) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_without_repeats)
    except RecursionError as error:
        raise LoadError(f"{name} is nested too deeply") from error
    except ValueError as error:
        raise LoadError(f"{name} is no JSON: {shown(str(error))}") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise LoadError("a key is there twice")
    return found

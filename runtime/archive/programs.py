"""A program with its guards as JSON, and back.

{"name": ..., "modes": {...}, "values": {"a1": "float32[2, 4]", ...},
 "inputs": [{"value": "%a1", "at": ["x"], "role": "argument"}, ...],
 "guards": [...],
 "body": {"ops": [{"call": "torch.relu", "args": ["%a1"], "result": "%t0"},
                  {"if": "%t1", "then": {...}, "else": {...}, "results": ["%t2"]},
                  {"while": {"%t3": 0}, "test": {...}, "body": {...}, "results": ["%t4"]}],
          "end": {"return": "%t2", "writes": [...]}}}
"""

from __future__ import annotations

from typing import Any

from d2s.runtime.archive.fields import Fields
from d2s.runtime.archive.guards import (
    decode_guard,
    decode_source,
    decode_type,
    encode_guard,
    encode_source,
    encode_type,
)
from d2s.runtime.archive.targets import name_of
from d2s.runtime.archive.trees import (
    TensorKey,
    TensorOf,
    Trees,
    device_named,
    encode_tree,
    function_named,
    shown,
    thing_of_torch,
)
from d2s.runtime.errors import D2SError, LoadError, Location, VerificationError
from d2s.runtime.ir.editing import all_values
from d2s.runtime.ir.modes import Autocast, Modes
from d2s.runtime.ir.names import display_name
from d2s.runtime.ir.program import (
    PLAIN,
    Block,
    Branch,
    Call,
    Condition,
    Continue,
    Effects,
    If,
    Input,
    Op,
    Program,
    Raise,
    Return,
    Role,
    Terminator,
    Value,
    While,
    Write,
    WriteKind,
    Yield,
)
from d2s.runtime.passes.verify import verify
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.questions import KINDS_OF_QUESTIONS

_MOST_BLOCKS = 40

# ------------------------------------------------------------------ writing


def encode_capture(capture: Capture, key: TensorKey) -> dict[str, Any]:
    """A program with what it assumes.

    Raises:
        D2SError: it calls a function, or holds an object, that can't be saved.
    """
    program = capture.program
    writer = _Writer(key)
    return {
        "name": program.name if program.name.isidentifier() else "function",
        "modes": _encode_modes(program.modes),
        "asks_of": sorted(capture.asks_of),
        "any_grad_mode": capture.any_grad_mode,
        "values": {str(value): encode_type(value.type) for value in all_values(program)},
        "names": {str(value): program.names[value] for value in all_values(program) if value in program.names},
        "inputs": [
            {"value": f"%{one.value}", "at": encode_source(one.source), "role": one.role.value}
            for one in program.inputs
        ],
        "guards": [encode_guard(guard) for guard in capture.guards],
        "body": writer.block(program.body),
    }


def _encode_modes(modes: Modes) -> dict[str, Any]:
    """The modes that differ from the usual ones."""
    given: dict[str, Any] = {}
    if not modes.grad:
        given["grad"] = False
    if modes.inference:
        given["inference"] = True
    if modes.dtype != PLAIN.dtype:
        given["dtype"] = str(modes.dtype).removeprefix("torch.")
    if modes.hooks:
        raise D2SError("a program with hooks of saved tensors can't be saved")
    if modes.autocast:
        given["autocast"] = [
            [one.device, str(one.dtype).removeprefix("torch."), one.enabled, one.cache, one.number]
            for one in modes.autocast
        ]
    return given


class _Writer:
    def __init__(self, key: TensorKey):
        self._key = key

    def block(self, block: Block) -> dict[str, Any]:
        assert block.terminator is not None
        return {"ops": list(map(self._op, block.ops)), "end": self._end(block.terminator)}

    def _tree(self, tree: Any) -> Any:
        return encode_tree(tree, self._key)

    def _op(self, op: Op) -> dict[str, Any]:
        written = self._parts(op)
        if op.modes != PLAIN:
            written["modes"] = _encode_modes(op.modes)
        if op.location is not None:
            where = op.location
            written["line"] = [where.filename.replace("\\", "/").rpartition("/")[2], where.line, where.function]
        return written

    def _parts(self, op: Op) -> dict[str, Any]:
        match op:
            case Call():
                return self._call(op)
            case If():
                sides = {"then": self.block(op.then), "else": self.block(op.orelse)}
                return {"if": f"%{op.condition}", **sides, "results": [f"%{one}" for one in op.results]}
            case While():
                carried = {f"%{one}": self._tree(init) for one, init in zip(op.params, op.inits, strict=True)}
                inside = {"test": self.block(op.test), "body": self.block(op.body)}
                return {"while": carried, **inside, "results": [f"%{one}" for one in op.results]}

    def _call(self, op: Call) -> dict[str, Any]:
        name = name_of(op.target)
        if name is None:
            where = f"line {op.location.line}: " if op.location else ""
            raise D2SError(
                f"{where}a call of {display_name(op.target)} can't be saved: only operations of torch, and of Python "
                "on data, can"
            )
        written: dict[str, Any] = {"call": name}
        if op.args:
            written["args"] = [self._tree(arg) for arg in op.args]
        if op.kwargs:
            written["kwargs"] = {name: self._tree(arg) for name, arg in op.kwargs.items()}
        if op.result is not None:
            written["result"] = self._tree(op.result)
        effects = op.effects
        for name, values in (("changes", effects.writes), ("aliases", effects.aliases)):
            if values:
                written[name] = [f"%{value}" for value in values]
        written |= {name: True for name in ("random", "ordered") if getattr(effects, name)}
        return written

    def _end(self, end: Terminator) -> dict[str, Any]:
        match end:
            case Yield(values):
                return {"yield": self._tree(values)}
            case Continue(values):
                return {"continue": self._tree(values)}
            case Condition(go_on, exits):
                return {"condition": self._tree(go_on), "exits": self._tree(exits)}
            case Return(value, writes):
                return {"return": self._tree(value), "writes": list(map(self._write, writes))}
            case Raise(exception, writes):
                return {"raise": self._tree(exception), "writes": list(map(self._write, writes))}
            case Branch(condition, then, orelse):
                return {"branch": f"%{condition}", "then": self.block(then), "else": self.block(orelse)}

    def _write(self, write: Write) -> dict[str, Any]:
        return {write.kind.name.lower(): encode_source(write.source), "value": self._tree(write.value)}


# ------------------------------------------------------------------ reading


def decode_capture(data: Any, parameters: set[str], tensor_of: TensorOf) -> Capture:
    """The program of such JSON, verified; its paths begin at one of the parameters.

    Raises:
        LoadError: it is no program.
    """
    fields = Fields(data, "a program")
    values = {name: _decode_value(name, kind) for name, kind in fields.get("values", dict).items()}
    reader = _Reader(Trees(values, tensor_of), parameters)
    name = fields.get("name", str)
    if not name.isidentifier():
        raise LoadError(f"{shown(name)} is no name of a program")
    inputs = [reader.input(one) for one in fields.get("inputs", list)]
    modes, names = _decode_modes(fields.any("modes")), _decode_names(fields, values)
    program = Program(name, inputs, reader.block(fields.any("body")), modes, names)
    guards = [decode_guard(one, parameters, reader.trees) for one in fields.get("guards", list)]
    try:
        verify(program)
    except VerificationError as error:
        raise LoadError(f"the program {name} is not whole: {str(error).partition(', in')[0]}") from error
    asks_of = fields.get("asks_of", list)
    if not all(one in KINDS_OF_QUESTIONS for one in asks_of):
        raise LoadError("the program asks what no program can")
    return Capture(program, guards, frozenset(asks_of), fields.get("any_grad_mode", bool))


def _decode_value(name: str, kind: Any) -> Value:
    digits = name[1:]
    if name[:1] not in ("a", "t", "n") or not (digits.isascii() and digits.isdigit()) or len(digits) > 9:
        raise LoadError(f"{shown(name)} is no value of a program")
    number = -int(digits) if name[0] == "a" else int(digits)
    value = Value(number, decode_type(kind))
    if str(value) != name:
        raise LoadError(f"{shown(name)} is not what a value of its type is called")
    return value


def _decode_names(fields: Fields, values: dict[str, Value]) -> dict[Value, str]:
    """What the values were called in the code that they come from."""
    names = fields.optional("names", dict) or {}
    for name, called in names.items():
        if name not in values or type(called) is not str or not called.isidentifier():
            raise LoadError(f"{shown(called)} is no variable of the program")
    return {values[name]: called for name, called in names.items()}


def _decode_modes(data: Any) -> Modes:
    fields = Fields(data, "the modes")
    grad, inference = fields.optional("grad", bool), fields.optional("inference", bool)
    dtype = fields.optional("dtype", str)
    entered = fields.optional("autocast", list) or []
    if len(entered) > _MOST_BLOCKS:
        raise LoadError("more autocasts are entered than a program can")
    return Modes(
        grad=True if grad is None else grad,
        inference=bool(inference),
        autocast=tuple(map(_decode_autocast, entered)),
        dtype=thing_of_torch("dtype", dtype or "float32"),
    )


def _decode_autocast(data: Any) -> Autocast:
    kinds = (str, str, bool, bool, int)
    if type(data) is not list or [type(one) for one in data] != list(kinds):
        raise LoadError(f"{shown(data)} is no autocast")
    device, dtype, enabled, cache, number = data
    return Autocast(device_named(device).type, thing_of_torch("dtype", dtype), enabled, cache, number)


class _Reader:
    def __init__(self, trees: Trees, parameters: set[str]):
        self.trees = trees
        self._parameters = parameters
        self._depth = 0

    def input(self, data: Any) -> Input:
        fields = Fields(data, "an input")
        source = decode_source(fields.get("at", list), self._parameters, self.trees)
        try:
            role = Role(fields.get("role", str))
        except ValueError as error:
            raise LoadError(f"{shown(fields.any('role'))} is no role of an input") from error
        return Input(self.trees.value(fields.get("value", str)), source, role)

    def block(self, data: Any) -> Block:
        self._depth += 1
        if self._depth > _MOST_BLOCKS:
            raise LoadError(f"blocks are nested deeper than {_MOST_BLOCKS}")
        fields = Fields(data, "a block")
        block = Block(list(map(self._op, fields.get("ops", list))), self._end(fields.any("end")))
        self._depth -= 1
        return block

    def _op(self, data: Any) -> Op:
        fields = Fields(data, "an op")
        modes = _decode_modes(fields.any("modes")) if "modes" in fields else PLAIN
        location = _decode_line(fields.get("line", list)) if "line" in fields else None
        if "call" in fields:
            return self._call(fields, modes, location)
        results = [self.trees.value(one) for one in fields.get("results", list)]
        if "if" in fields:
            condition = self.trees.value(fields.get("if", str))
            then, orelse = self.block(fields.any("then")), self.block(fields.any("else"))
            return If(condition, then, orelse, results, modes, location)
        carried = fields.get("while", dict)
        params = [self.trees.value(name) for name in carried]
        inits = [self.trees.tree(init) for init in carried.values()]
        test, body = self.block(fields.any("test")), self.block(fields.any("body"))
        return While(params, inits, test, body, results, modes, location)

    def _call(self, fields: Fields, modes: Modes, location: Location | None) -> Call:
        target = function_named(fields.get("call", str))
        args = tuple(map(self.trees.tree, fields.optional("args", list) or []))
        kwargs = {name: self.trees.tree(arg) for name, arg in (fields.optional("kwargs", dict) or {}).items()}
        for name in kwargs:
            if not name.isidentifier():
                raise LoadError(f"{shown(name)} is no name of an argument")
        result = self.trees.tree(fields.any("result")) if "result" in fields else None
        changes, aliases = (
            tuple(map(self.trees.value, fields.optional(name, list) or [])) for name in ("changes", "aliases")
        )
        flags = [bool(fields.optional(name, bool)) for name in ("random", "ordered")]
        return Call(target, args, kwargs, result, Effects(changes, aliases, *flags), modes, location)

    def _end(self, data: Any) -> Terminator:
        fields, trees = Fields(data, "the end of a block"), self.trees
        if "yield" in fields:
            return Yield(list(map(trees.tree, fields.get("yield", list))))
        if "continue" in fields:
            return Continue(list(map(trees.tree, fields.get("continue", list))))
        if "condition" in fields:
            exits = list(map(trees.tree, fields.get("exits", list)))
            return Condition(trees.tree(fields.any("condition")), exits)
        if "branch" in fields:
            condition = trees.value(fields.get("branch", str))
            return Branch(condition, self.block(fields.any("then")), self.block(fields.any("else")))
        writes = [self._write(one) for one in fields.get("writes", list)]
        if "return" in fields:
            return Return(trees.tree(fields.any("return")), writes)
        return Raise(trees.tree(fields.any("raise")), writes)

    def _write(self, data: Any) -> Write:
        fields = Fields(data, "a write")
        for kind in WriteKind:
            name = kind.name.lower()
            if name in fields:
                source = decode_source(fields.get(name, list), self._parameters, self.trees)
                return Write(kind, source, self.trees.tree(fields.any("value")))
        raise LoadError("a write is of no kind that there is")


def _decode_line(data: list[Any]) -> Location:
    if [type(one) for one in data] != [str, int, str] or "/" in data[0] or "\\" in data[0]:
        raise LoadError("the line of an op is none")
    file, line, function = data
    return Location(f"<saved>/{file}", line, function)  # no file of this machine is opened for it

"""Edits the programs of a module: each edit is verified, and one that fails changes nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from d2s.runtime.backend.execution import Executable
from d2s.runtime.errors import D2SError, VerificationError
from d2s.runtime.ir.editing import (
    Snapshot,
    all_values,
    definition_of,
    fresh_number,
    place_of,
    substitute,
    users_of,
)
from d2s.runtime.ir.names import display_name, qualified_name
from d2s.runtime.ir.program import (
    Block,
    Call,
    Effects,
    If,
    Input,
    Op,
    Program,
    PythonType,
    Return,
    Role,
    TensorType,
    Terminator,
    Tree,
    Value,
    ValueType,
    While,
    leaves_of,
    values_in,
    walk_ops,
)
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.sources import Argument, Member, Source
from d2s.runtime.passes.verify import verify
from d2s.runtime.recording.capture import Capture, Convert
from d2s.runtime.recording.checks import Guard, HasForm, IsTensor
from d2s.runtime.standalone.calling import captured_call, is_operand
from d2s.runtime.standalone.choosing import program_for
from d2s.runtime.standalone.closing import Closing, close
from d2s.runtime.standalone.cutting import cut
from d2s.runtime.standalone.module import ROOT, StaticModule
from d2s.runtime.standalone.retyping import retyped, set_types
from d2s.runtime.standalone.splicing import spliced


class Editor:
    """The programs of a module in a form that can be changed; `module()` is the module of what they are then.

    `programs` are those programs; print one to see its ops and values. Ops and values are found by `find`, or taken
    from the blocks of a program: `program.body.ops`. The module that was given, and its programs, stay as they are;
    the new one has the same parameters and buffers.
    """

    def __init__(self, module: StaticModule, convert: Convert):
        self._module = module.d2s_shared()
        self._convert = convert
        captures = [executable.capture for executable in module.programs]
        self._captures = [replace(one, program=Rewriter().program(one.program)) for one in captures]
        self._closing = Closing(self._module, {}, self.programs)

    @property
    def programs(self) -> list[Program]:
        """The programs as they are now."""
        return [capture.program for capture in self._captures]

    @property
    def program(self) -> Program:
        """The only program.

        Raises:
            D2SError: there are more.
        """
        if len(self.programs) != 1:
            raise D2SError(f"there are {len(self.programs)} programs here: take one of `programs`")
        return self.programs[0]

    def module(self) -> StaticModule:
        """A module of the programs as they are now."""
        module = self._module.d2s_shared()
        module.d2s_set_captures(
            replace(capture, program=verify(Rewriter().program(capture.program)), guards=list(capture.guards))
            for capture in self._captures
        )
        return module

    # -------------------------------------------------------------- finding

    def find(self, target: Any = None) -> list[Any]:
        """The ops of all programs that call this function; ops of this kind (`Call`, `If`, `While`); or all.

        A text is the name of a function as `print(program)` has it, or the last part of that.
        """
        ops = [op for program in self.programs for op in walk_ops(program.body)]
        return [op for op in ops if target is None or _is_of(op, target)]

    def users(self, value: Value, program: Program | None = None) -> list[Op | Terminator]:
        """The ops, and the ends of blocks, that use a value directly; `program` is needed if there are more."""
        return users_of(program or self.program, value)

    def definition(self, value: Value, program: Program | None = None) -> Op | None:
        """The op that gives a value; None for an input of the program."""
        return definition_of(program or self.program, value)

    # -------------------------------------------------------------- ops

    def insert_before(self, op: Op, function: Callable[..., Any], *args: Tree, **kwargs: Tree) -> Tree:
        """Call a function right before an op; what it gives, as values of the program.

        The function is one of torch, or one of your own, which may have control flow on values of tensors; a module,
        whose parameters then are those of the edited module too; or another program, which is spliced in.

        Raises:
            D2SError: that call can't be part of a program.
        """
        return self._insert(op, 0, function, args, kwargs)

    def insert_after(self, op: Op, function: Callable[..., Any], *args: Tree, **kwargs: Tree) -> Tree:
        """The same right after an op."""
        return self._insert(op, 1, function, args, kwargs)

    def replace(self, op: Op, function: Callable[..., Any], *args: Tree, **kwargs: Tree) -> Tree:
        """Call a function in place of an op; what used the results of the op uses what the function gives."""
        with self._edit(op) as (capture, block, index):
            answer, ops = self._called(capture, op, function, args, kwargs)
            if isinstance(op, Call) and function is op.target:
                ops = [replace(new, location=op.location) for new in ops]
            block.ops[index : index + 1] = ops
            self._stand_in(capture.program, op, answer)
        return answer

    def change(self, op: Op, *args: Tree, **kwargs: Tree) -> Tree:
        """Give an op other operands: all that have no name, if any is given, and these among those that have one.

        Of an `If` that is `condition`, of a `While` it is `inits`.
        """
        if isinstance(op, Call):
            return self.replace(op, op.target, *(args or op.args), **{**op.kwargs, **kwargs})
        field = "condition" if isinstance(op, If) else "inits"
        if args or kwargs.keys() != {field}:
            raise D2SError(f"of this op only {field!r} can be changed: change(op, {field}=...)")
        with self._edit(op) as (capture, _, _):
            setattr(op, field, kwargs[field])
            if isinstance(op, While) and len(op.inits) == len(op.params):
                given = zip(op.params, op.inits, strict=True)
                types = {param: init.type for param, init in given if isinstance(init, Value)}
                self._retype(capture.program, {value: kind for value, kind in types.items() if kind != value.type})
        return op.results

    def erase(self, op: Op) -> None:
        """Take an op away, with what is in its blocks.

        Raises:
            D2SError: something uses what it gives.
        """
        with self._edit(op) as (_, block, index):
            del block.ops[index]

    # -------------------------------------------------------------- values

    def replace_uses(self, value: Value, tree: Tree, program: Program | None = None) -> None:
        """Have what uses a value use this instead, from where this is defined; `program` names one of many."""
        with self._changing(self._capture_of(program or self.program)) as capture:
            substitute(capture.program, {value: tree})
            self._check_types(capture.program, {value: tree})

    def set_output(self, tree: Tree, program: Program | None = None) -> None:
        """Have a program give this tree of values and constants.

        Raises:
            D2SError: it ends in more than one way.
        """
        with self._changing(self._capture_of(program or self.program)) as capture:
            end = capture.program.body.terminator
            if not isinstance(end, Return):
                raise D2SError("the program ends in more than one way: change the `value` of its ends")
            end.value = tree

    def lift(self, op: Op, operand: int | str, name: str) -> Value:
        """Have an operand of an op, by position or by name, be an argument called `name`; the value that it is then.

        The argument is given by name only. A number is its default; in place of a parameter, a buffer or a constant
        of the module, which the program does not read any more, it has to be given.

        Raises:
            D2SError: the operand is something else, or there is such an argument already.
        """
        if not isinstance(op, Call):
            raise D2SError("only the operands of calls can be lifted")
        if name in self._module.d2s_signature.parameters or not name.isidentifier():
            raise D2SError(f"{name!r} can't be the name of one more argument")
        old = op.args[operand] if isinstance(operand, int) else op.kwargs[operand]
        with self._edit(op) as (capture, _, _):
            if isinstance(old, Value):
                value, default = self._input_as_argument(capture, old, name), inspect.Parameter.empty
            elif type(old) in (int, float):
                value, default = self._number_as_argument(capture, type(old), name), old
                args = [value if position == operand else arg for position, arg in enumerate(op.args)]
                kwargs = {key: value if key == operand else arg for key, arg in op.kwargs.items()}
                self.replace(op, op.target, *args, **kwargs)
            else:
                raise D2SError(f"{old!r} can't be lifted: only numbers, and tensors of the module")
        self._add_parameter(name, default)
        return value

    def cut(self, value: Value, program: Program | None = None) -> StaticModule:
        """A module of the program up to a value, which it gives: if it is in an `if` or a loop, as a list of all that
        it takes in one call. The editor's own program stays as it is."""
        editor = Editor(self.module(), self._convert)
        number = next(n for n, one in enumerate(self.programs) if one is (program or self.program))
        editor._captures = [editor._captures[number]]
        with editor._changing(editor._captures[0]):
            cut(editor.program, value)
        return editor.module()

    # -------------------------------------------------------------- inside

    def _input_as_argument(self, capture: Capture, value: Value, name: str) -> Value:
        """Have an input that is state of the module be an argument."""
        for index, entry in enumerate(capture.program.inputs):
            if entry.value == value and isinstance(entry.source, Member):
                source = Argument(name)
                capture.program.inputs[index] = Input(value, source, Role.ARGUMENT)
                kept = [guard for guard in capture.guards if guard.source != entry.source]
                assert isinstance(value.type, TensorType)
                kind = replace(value.type, requires_grad=False)
                capture.guards[:] = [*kept, Guard(source, IsTensor(torch.Tensor, kind, None, leaf=True))]
                return value
        raise D2SError(f"{value} can't be lifted: it is no parameter, buffer or constant of the module")

    def _number_as_argument(self, capture: Capture, kind: type, name: str) -> Value:
        capture.guards.append(Guard(Argument(name), HasForm(kind)))
        return self._new_input(capture.program, Argument(name), PythonType(kind), Role.ARGUMENT)

    def _add_parameter(self, name: str, default: Any) -> None:
        signature = self._module.d2s_signature
        new = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        old = list(signature.parameters.values())
        after = len(old) - (bool(old) and old[-1].kind is inspect.Parameter.VAR_KEYWORD)
        self._module.d2s_set_signature(signature.replace(parameters=[*old[:after], new, *old[after:]]))

    def _insert(self, op: Op, after: int, function: Any, args: Tree, kwargs: Tree) -> Tree:
        with self._edit(op) as (capture, block, index):
            answer, ops = self._called(capture, op, function, args, kwargs)
            block.ops[index + after : index + after] = ops
        return answer

    def _called(self, capture: Capture, at: Op, function: Any, args: Tree, kwargs: Tree) -> tuple[Tree, Sequence[Op]]:
        """The ops of a call, and its answer; what it reads of the user's objects becomes part of the module."""
        program = capture.program
        if not all(map(is_operand, values_in((args, kwargs)))):
            return self._called_as_it_is(program, at, function, args, kwargs)
        if isinstance(function, StaticModule | Executable):
            new, sources = self._taken(function, args, kwargs)
        else:
            if isinstance(function, torch.nn.Module):
                self._closing.take(function, type(function).__name__.lower())
            captured, sources = captured_call(function, args, kwargs, at.modes, self._convert)
            new = self._closing.capture(captured)
        given = {}
        for entry in new.program.inputs:
            known = entry.source in sources
            given[entry.value] = sources[entry.source] if known else self._input(capture, entry, new.guards)
        ops, answer = spliced(new.program, given, program, at.modes)
        return answer, ops

    def _called_as_it_is(
        self, program: Program, at: Op, function: Any, args: Tree, kwargs: Tree
    ) -> tuple[Tree, Sequence[Op]]:
        """A call on objects that are known only when the program runs: it may do anything to them."""
        operands = tuple(dict.fromkeys(values_in((args, kwargs))))
        result = Value(fresh_number(program), PythonType(object))
        effects = Effects(writes=operands, aliases=operands, ordered=True)
        return result, [Call(function, tuple(args), dict(kwargs), result, effects, at.modes)]

    def _taken(
        self, other: StaticModule | Executable, args: Tree, kwargs: Tree
    ) -> tuple[Capture, dict[Source, Tree]]:
        """A program of another module for these operands, and what its inputs are; its state is taken."""
        module = other if isinstance(other, StaticModule) else close([other])
        name = module.programs[0].program.name
        chosen = program_for(module, args, kwargs)
        closing = Closing(self._module, {ROOT: module}, [chosen.capture.program])
        closing.take_owner(ROOT, self._closing.take(module, name))
        return closing.capture(chosen.capture), chosen.operands

    def _input(self, capture: Capture, wanted: Input, guards: list[Guard]) -> Value:
        """The input that is found at a path, which is made if there is none."""
        program, source, kind = capture.program, wanted.source, wanted.value.type
        for entry in program.inputs:
            if entry.source == source:
                return entry.value
        value = self._new_input(program, source, kind, wanted.role)
        capture.guards.extend(guard for guard in guards if guard.source == source)
        return value

    def _new_input(self, program: Program, source: Source, kind: ValueType, role: Role) -> Value:
        number = min((value.number for value in all_values(program)), default=0)
        value = Value(min(number, 0) - 1, kind)
        program.inputs.append(Input(value, source, role))
        return value

    def _stand_in(self, program: Program, op: Op, answer: Tree) -> None:
        """Have an answer be used in place of the results of an op that is gone."""
        if isinstance(op, Call) and not op.results:
            return
        old = op.result if isinstance(op, Call) else op.results if len(op.results) != 1 else op.results[0]
        new = _pairs(old, answer)
        substitute(program, new)
        self._check_types(program, new)

    def _check_types(self, program: Program, new: dict[Value, Tree]) -> None:
        """Bring the types up to date, now that these trees stand for these values."""
        values = {tree: old for old, tree in new.items() if isinstance(tree, Value)}
        changed = {value: value.type for value, old in values.items() if value.type != old.type}
        self._retype(program, changed)

    def _retype(self, program: Program, changed: dict[Value, ValueType]) -> None:
        if changed:
            set_types(program, retyped(program, changed, self._convert))

    @contextmanager
    def _edit(self, op: Op) -> Iterator[tuple[Capture, Block, int]]:
        for capture in self._captures:
            place = place_of(capture.program, op)
            if place is not None:
                with self._changing(capture):
                    yield capture, *place
                return
        raise D2SError("the op is in none of the programs that are edited: find it there")

    @contextmanager
    def _changing(self, capture: Capture) -> Iterator[Capture]:
        before, guards = Snapshot(capture.program), list(capture.guards)
        try:
            yield capture
            verify(capture.program)
        except BaseException as error:
            before.restore()
            capture.guards[:] = guards
            if isinstance(error, VerificationError):
                raise D2SError(f"this edit leaves no program: {error}") from error
            raise

    def _capture_of(self, program: Program) -> Capture:
        for capture in self._captures:
            if capture.program is program:
                return capture
        raise D2SError("that program is none of those that are edited: take one of `programs`")


def _is_of(op: Op, target: Any) -> bool:
    if isinstance(target, type) and issubclass(target, Call | If | While):
        return isinstance(op, target)
    if not isinstance(op, Call):
        return False
    if isinstance(target, str):
        name = qualified_name(op.target) or display_name(op.target)
        return target in (name, name.rpartition(".")[2])
    return op.target is target or op.target == target


def _pairs(old: Tree, new: Tree) -> dict[Value, Tree]:
    """What stands for each value of a result."""
    if isinstance(old, Value):
        return {old: new}
    if isinstance(old, tuple | list) and isinstance(new, tuple | list) and len(old) == len(new):
        return {
            value: tree for one, other in zip(old, new, strict=True) for value, tree in _pairs(one, other).items()
        }
    if not values_in(old):
        return {}
    raise D2SError(f"what takes its place gives {len(leaves_of(new))} things, and other things are used of the op")

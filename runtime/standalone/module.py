"""A module whose `forward` is programs: it needs neither the code nor the classes that they were captured from."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Iterable
from typing import Any, Self

import torch

from d2s.runtime.backend.execution import Executable, takes_positions
from d2s.runtime.errors import D2SError
from d2s.runtime.ir.sources import Member
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import Guard, HasForm, IsTensor, IsValue
from d2s.runtime.recording.structures import maker_of
from d2s.runtime.standalone.adapting import adapted
from d2s.runtime.standalone.examples import example_arguments

# What the program of a module calls the module itself.
ROOT = "self"


class Part(torch.nn.Module):
    """A module that holds state under its original name, in place of one of the class called `kind`."""

    def __init__(self, kind: str):
        super().__init__()
        self.d2s_kind = kind

    def _get_name(self) -> str:
        return self.d2s_kind

    def d2s_put(self, table: str, name: str, thing: Any) -> None:
        """Hold a parameter, a buffer or a module; unlike `add_module`, also under the name of one of ours."""
        vars(self)[table][name] = thing

    def d2s_shared(self, memo: dict[int, Part] | None = None) -> Self:
        """A module of the same tensors, whose programs, parts and attributes can be changed on their own."""
        memo = {} if memo is None else memo
        if id(self) not in memo:
            memo[id(self)] = made = type(self).__new__(type(self))
            made.__dict__ = {name: copied(thing) for name, thing in self.__dict__.items()}
            made._modules = {name: part and part.d2s_shared(memo) for name, part in self._modules.items()}
        return memo[id(self)]


class StaticModule(Part):
    """A module of one or more programs, each for some signatures of arguments and modes of its parts.

    Its parameters, buffers and submodules have the names that they had where the programs were captured, so that
    what is not the user's is called `d2s_...` here, but for `programs`.
    """

    def __init__(self, name: str, kind: str, signature: inspect.Signature):
        """`signature` is that of `forward`, without the module itself; `name` is what its programs are called."""
        super().__init__(kind)
        self.d2s_name = name
        self.d2s_set_signature(signature)
        # The buffers that are constants of the programs: no attributes of the user's module.
        self.d2s_constants: set[str] = set()
        # Those that were made of these, for tensors that ask for gradients otherwise or are elsewhere.
        self.d2s_adapted: tuple[Executable, ...] = ()

    # -------------------------------------------------------------- programs

    @property
    def programs(self) -> list[Executable]:
        """The programs, in the order in which a call tries them."""
        return list(self.d2s_executables)

    def d2s_set_signature(self, signature: inspect.Signature) -> None:
        """Have `forward` take these arguments; the programs are to be set then."""
        self.d2s_signature, self.d2s_takes_positions = signature, takes_positions(signature)
        self.d2s_executables: tuple[Executable, ...] = ()

    def d2s_set_captures(self, captures: Iterable[Capture]) -> None:
        """Have these programs in place of those that are there."""
        names = tuple(self.d2s_signature.parameters)
        root = inspect.Parameter(ROOT, inspect.Parameter.POSITIONAL_ONLY)
        whole = inspect.Signature([root, *self.d2s_signature.parameters.values()])
        made = []
        for capture in captures:
            examples = example_arguments(capture.guards, names, IsTensor.stand_in)
            made.append(Executable(capture, whole, (self, *(examples[name] for name in names))))
        self.d2s_executables, self.d2s_adapted = tuple(made), ()

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        """As for any module, but the constants of programs move only: in eager no module would change their dtype."""
        kept = {name: self._buffers[name] for name in self.d2s_constants}
        super()._apply(fn, recurse)
        for name, constant in kept.items():
            moved = self._buffers[name]
            if constant is not None and moved is not None:
                self._buffers[name] = constant.to(moved.device)
        return self

    # -------------------------------------------------------------- calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the function of the programs does.

        Raises:
            D2SError: no program is for these arguments, or for the modes that the module and torch are in.
        """
        arguments = (self, *self.d2s_bound(args, kwargs))
        for executable in (*self.d2s_executables, *self.d2s_adapted):
            inputs = executable.inputs_for(*arguments)
            if inputs is not None:
                return executable.run(inputs, arguments)
        for executable in self.d2s_executables:
            other = adapted(executable, arguments)
            if other is not None:
                self.d2s_adapted = (*self.d2s_adapted, other)
                return other.run(other.inputs_for(*arguments) or (), arguments)
        raise D2SError(self._no_program())

    def d2s_bound(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterable[Any]:
        """The arguments of a call in the order of the parameters; every step here is paid at each call."""
        if not kwargs and self.d2s_takes_positions and len(args) == len(self.d2s_signature.parameters):
            return args
        bound = self.d2s_signature.bind(*args, **kwargs)
        bound.apply_defaults()
        return bound.arguments.values()

    def _no_program(self) -> str:
        known = "; or ".join(dict.fromkeys(map(_signature_text, self.d2s_executables))) or "nothing"
        return (
            f"{self.d2s_name} has no program for this call, only for {known}. "
            "Call it so, or capture it for this call too, before it is saved or edited"
        )


def copied(thing: Any) -> Any:
    """The same data in containers of its own."""
    if isinstance(thing, dict):
        copy = thing.copy()
        copy.update((key, copied(item)) for key, item in thing.items())
        return copy
    if isinstance(thing, list | tuple):
        return maker_of(type(thing))(map(copied, thing))
    return thing.copy() if isinstance(thing, set | deque) else thing


def _signature_text(executable: Executable) -> str:
    """What a program is for, in words."""
    parts = [_guard_text(guard) for guard in executable.guards]
    modes = str(executable.program.modes)
    return ", ".join([*(part for part in parts if part), *([modes] if modes else [])])


def _guard_text(guard: Guard) -> str:
    check, source = guard.check, guard.source
    if isinstance(source, Member) and source.name == "training" and isinstance(check, IsValue):
        module = str(source.base)
        return f"{module if module != ROOT else 'the module'} in {'training' if check.value else 'eval'} mode"
    if str(source).startswith(f"{ROOT}."):
        return ""
    match check:
        case IsTensor():
            return f"{source}: {check.type}"
        case IsValue(value):
            return f"{source} = {value!r}"
        case HasForm(cls, None, None) if cls is not object:
            return f"{source}: {cls.__name__}"
    return ""

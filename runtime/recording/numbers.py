"""Numbers that are known only when the program runs, in the clothes of Python's own.

They are torch's symbolic numbers, so that torch takes them wherever it takes a number, and they answer `int`,
`float` or `bool` when asked for their class. Arithmetic and comparisons become ops of the program at once;
the symbolic node lets torch infer shapes from them. Asked for its truth, a number has the recording decide.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from d2s.runtime.errors import CaptureError, D2SError
from d2s.runtime.ir.program import Value, leaves_of
from d2s.runtime.recording.staged import UnansweredValue
from d2s.runtime.torch_internals.fakes import rounds


class RunTimeNumber(UnansweredValue):
    """What the three kinds share. `value` is the number's value in the program."""

    def __copy__(self) -> RunTimeNumber:
        return self

    def __deepcopy__(self, memo: Any) -> RunTimeNumber:
        return self

    def needed(self, what: str = "the value") -> BaseException:
        """What to raise where the number has to be known."""
        reason = f"{what} of a number computed from a tensor is asked for, and not known before the run"
        return self.recorder.pending(CaptureError("D2S101", reason, "compute with it, or keep it a tensor"))


class RunTimeInt(RunTimeNumber, torch.SymInt):
    """An int."""

    kind = int
    __class__ = property(lambda self: int)


class RunTimeFloat(RunTimeNumber, torch.SymFloat):
    """A float."""

    kind = float
    __class__ = property(lambda self: float)


class RunTimeBool(RunTimeNumber, torch.SymBool):
    """A bool."""

    kind = bool
    __class__ = property(lambda self: bool)


CLASSES: dict[type, type] = {int: RunTimeInt, float: RunTimeFloat, bool: RunTimeBool}


def is_run_time_number(thing: object) -> bool:
    """Whether a number is known only when the program runs."""
    return issubclass(type(thing), RunTimeNumber)


def flag_in(arguments: Any) -> Any:
    """A bool of the run among the arguments of a call; None if there is none."""
    return next((leaf for leaf in leaves_of(arguments) if type(leaf) is RunTimeBool), None)


def make_number(recorder: Any, kind: type, node: Any, value: Value) -> Any:
    """The number of a kind that stands for `value`."""
    number = CLASSES[kind](node)
    number.value = value
    number.recorder = recorder
    return number


def plain_number(node: Any) -> Any:
    """One of torch's own symbolic numbers, for torch alone."""
    return torch.SymBool(node) if node.pytype is bool else torch.SymInt(node)


def number_kind(thing: object) -> type | None:
    """int, float or bool for a number of that very type, known or not; None for anything else."""
    kind = getattr(thing, "kind", None) if is_run_time_number(thing) else type(thing)
    return kind if kind in CLASSES else None


# ------------------------------------------------------------------ arithmetic

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "truediv": operator.truediv,
    "floordiv": operator.floordiv,
    "mod": operator.mod,
    "pow": operator.pow,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "lshift": operator.lshift,
    "rshift": operator.rshift,
}
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "ne": operator.ne,
}
_UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": operator.neg,
    "pos": operator.pos,
    "abs": operator.abs,
    "invert": operator.invert,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
}
# Of ints only, and only these: torch's algebra reorders sums of floats.
_ROUNDING = frozenset({"floordiv", "mod"})
_SYMBOLIC = frozenset({"add", "sub", "mul", *_ROUNDING, *_COMPARISONS})
# Methods of Python's own numbers that give one, or a text. Others of its public names ask for what is not known.
_METHODS = frozenset({"bit_length", "bit_count", "conjugate", "is_integer", "hex"})
_PARTS = frozenset({"real", "imag", "numerator", "denominator"})
_SAMPLES: dict[type, Any] = {int: 1, float: 1.0, bool: True}


def _result_kind(function: Callable[..., Any], *kinds: type) -> type:
    """The type that Python's own operation gives, tried on samples.

    Raises:
        TypeError: Python's own, for kinds that the operation does not take.
    """
    return type(function(*(_SAMPLES[kind] for kind in kinds)))


def _node_of(name: str, left: Any, right: Any, kinds: tuple[type, type]) -> Any:
    """The symbolic node of an operation on ints, None where there is none."""
    if name not in _SYMBOLIC or set(kinds) != {int}:
        return None
    if name in _ROUNDING and (rounds(left) or rounds(right)):
        return None  # Torch's algebra takes seconds for a remainder of a remainder.
    plain = getattr(torch.SymInt, f"__{name}__")(torch.SymInt(_int_node(left, right)), _plain(right))
    return getattr(plain, "node", None)


def _int_node(number: Any, other: Any) -> Any:
    return number.node if is_run_time_number(number) else other.node.wrap_int(number)


def _plain(number: Any) -> Any:
    return torch.SymInt(number.node) if is_run_time_number(number) else number


def _binary(name: str, function: Callable[[Any, Any], Any], reflected: bool) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        other = _as_pythons(other, None if reflected else _MIRRORED.get(name, f"r{name}"))
        if number_kind(other) is None:
            return _repeated(other, self) if name == "mul" else NotImplemented
        left, right = (other, self) if reflected else (self, other)
        kinds = (number_kind(left), number_kind(right))
        kind = _result_kind(function, *kinds)  # type: ignore[arg-type]
        if name == "pow":
            return _power(left, right)
        node = _node_of(name, left, right, kinds)  # type: ignore[arg-type]
        return self.recorder.number_call(function, (left, right), kind, node)

    return method


# What Python asks the right side of a comparison, where that is of a subclass.
_MIRRORED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}


def _as_pythons(number: Any, asked: str | None) -> Any:
    """A number of a class of the user's as one of Python's own, if that class answers what is `asked` as they do."""
    for kind in (int, float):
        if isinstance(number, kind) and type(number) not in (kind, bool) and not is_run_time_number(number):
            method = f"__{asked}__"
            is_pythons = asked is None or getattr(type(number), method, None) is getattr(kind, method, None)
            return kind(number) if is_pythons else number
    return number


def _repeated(sequence: Any, times: Any) -> Any:
    """`sequence * times`."""
    if type(sequence) not in (str, list, tuple) or times.kind is float:
        return NotImplemented
    if type(sequence) is str:
        return times.recorder.text_call(operator.mul, (sequence, times))
    return times.recorder.lists.of_items(operator.mul, sequence, times)


def _power(base: Any, exponent: Any) -> Any:
    """`base ** exponent`: an int where both are ints and the exponent, which decides, is not negative."""
    recorder = base.recorder if is_run_time_number(base) else exponent.recorder
    if float not in (number_kind(base), number_kind(exponent)):
        return recorder.number_call(operator.pow, (base, exponent), int if exponent >= 0 else float)
    if number_kind(exponent) is not float:
        return recorder.number_call(operator.pow, (base, exponent), float)
    if not is_run_time_number(base) and base < 0:
        raise CaptureError("D2S103", "a negative number to a power may be complex", "use torch.pow on a tensor")
    return recorder.number_call(real_power, (base, exponent), float)


def real_power(base: float, exponent: float) -> float:
    """`base ** exponent`.

    Raises:
        D2SError: it is a complex number.
    """
    answer = base**exponent
    if isinstance(answer, complex):
        raise D2SError(f"{base} ** {exponent} is complex, and the program was made for a float")
    return float(answer)


def _unary(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def method(self: Any) -> Any:
        return self.recorder.number_call(function, (self,), _result_kind(function, self.kind), None)

    return method


def _round(self: Any, digits: Any = None) -> Any:
    kind = _result_kind(round, self.kind) if digits is None else self.kind
    return self.recorder.number_call(round, (self,) if digits is None else (self, digits), kind, None)


def _public(kind: type, name: str) -> Any:
    """An attribute of Python's own numbers of a kind, for those of the run."""
    member = getattr(kind, name)
    if name in _METHODS:
        answer = type(member(_SAMPLES[kind]))

        return lambda self: self.recorder.plain_call(member, (self,), answer)
    if name in _PARTS:
        answer = type(getattr(_SAMPLES[kind], name))
        return property(lambda self: self.recorder.number_call(getattr, (self, name), answer))

    def refused(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise self.needed(f"what {name}() gives")

    return refused


def _divmod(self: Any, other: Any) -> Any:
    return self // other, self % other


def _install(owner: type) -> None:
    for name, function in _ARITHMETIC.items():
        setattr(owner, f"__{name}__", _binary(name, function, False))
        setattr(owner, f"__r{name}__", _binary(name, function, True))
    for name, function in _COMPARISONS.items():
        setattr(owner, f"__{name}__", _binary(name, function, False))
    for name, unary in _UNARY.items():
        setattr(owner, f"__{name}__", _unary(unary))
    for name, method in (("round", _round), ("divmod", _divmod)):
        setattr(owner, f"__{name}__", method)


def _install_public(kind: type, owner: type) -> None:
    # What an int gives for `as_integer_ratio` torch knows: the int itself, and 1.
    known = {"as_integer_ratio"} if kind is int else set()
    for name in set(dir(kind)) - known:
        if not name.startswith("_"):
            setattr(owner, name, _public(kind, name))


_install(RunTimeNumber)
for _kind, _class in CLASSES.items():
    _install_public(_kind, _class)

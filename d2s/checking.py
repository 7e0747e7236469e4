"""`check`: runs a static function beside eager on copies and compares all that a call does."""

from __future__ import annotations

import math
import random
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from d2s.api import original, to_static
from d2s.copies import copied
from d2s.errors import FallbackWarning
from d2s.oplog import OpLog, first_difference
from d2s.runtime.ir.sources import Argument
from d2s.runtime.recording.lifting import parts_of
from d2s.runtime.recording.structures import tensors_in
from d2s.switches import Switch

_COMPARED = (torch.Tensor, bool, int, float, complex, str, bytes, type(None))


@dataclass
class Comparison:
    """What differs between a static call and eager, a line each; true if nothing does."""

    differences: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        return "\n".join(["differs from eager:", *self.differences]) if self.differences else "the same as eager"


@dataclass(frozen=True)
class _Run:
    """What a call did: its answer or exception, its gradients and the state after it, by path."""

    things: dict[str, Any]
    drawn: list[Any]
    log: OpLog


def check(
    target: Any, *args: Any, rtol: float = 0.0, atol: float = 0.0, by_op: bool = False, **kwargs: Any
) -> Comparison:
    """Compare a static function with the Python code that it comes from, on copies of everything it is given.

    Compared are the answer or the exception, the gradients of the answer, the arguments and the object after the
    call, and what the random generators give next. Globals and variables of outer functions are not copied.

    Args:
        target: a function, method or module, static or not.
        args: the arguments of the call.
        rtol: how far numbers may be apart, relative to eager's.
        atol: how far they may be apart, whatever eager's are.
        by_op: also compare every call of torch, and name the first line of the function where one differs.
        kwargs: arguments by name.
    """
    generators = _generators()
    eager = _run(target, args, kwargs, False, by_op)
    after = _generators()
    _set_generators(generators)
    static = _run(target, args, kwargs, True, by_op)
    _set_generators(after)
    found = Comparison()
    if by_op:
        difference = first_difference(eager.log, static.log, lambda left, right: _same(left, right, rtol, atol))
        found.differences += [difference] if difference else []
    for path in dict.fromkeys([*eager.things, *static.things]):
        left, right = eager.things.get(path, _MISSING), static.things.get(path, _MISSING)
        if not _same(left, right, rtol, atol):
            found.differences.append(f"{path} is {_short(right)} and in eager {_short(left)}")
    if not _same(eager.drawn, static.drawn, 0.0, 0.0):
        found.differences.append("other random numbers were drawn")
    return found


_MISSING = "nothing"


def _run(target: Any, args: Any, kwargs: Any, static: bool, by_op: bool) -> _Run:
    """One call on copies, as a program or as the Python code."""
    function, args, kwargs = copied(original(target), args, kwargs)
    called = to_static(function)
    owner = called if isinstance(called, torch.nn.Module) else getattr(called, "__self__", None)
    log = OpLog()
    with _switched(static), warnings.catch_warnings(), log if by_op else nullcontext():
        warnings.simplefilter("ignore", FallbackWarning)
        try:
            answer = called(*args, **kwargs)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
    things = _things({"answer": answer, "args": args, "kwargs": kwargs, "self": owner})
    return _Run(things | _gradients(answer, things), [torch.rand(3), random.random()], log)


@contextmanager
def _switched(enabled: bool) -> Iterator[None]:
    before, Switch.enabled = Switch.enabled, enabled
    try:
        yield
    finally:
        Switch.enabled = before


def _things(roots: dict[str, Any]) -> dict[str, Any]:
    """The tensors, numbers and texts that can be reached, by path."""
    found: dict[str, Any] = {}
    queue = deque((Argument(name), thing) for name, thing in roots.items())
    seen: dict[int, Any] = {}
    while queue:
        source, thing = queue.popleft()
        if isinstance(thing, _COMPARED):
            found[str(source)] = thing
        elif id(thing) not in seen:
            seen[id(thing)] = thing
            queue.extend(parts_of(source, thing))  # type: ignore[arg-type]
    return found


def _gradients(answer: Any, things: dict[str, Any]) -> dict[str, Any]:
    """The gradients, by path, of a number that all tensors of the answer have a part in, each element another."""
    outputs = [tensor for tensor in tensors_in(answer) if tensor.requires_grad and not tensor.is_inference()]
    if outputs:
        weights = [torch.linspace(0.5, 1.5, tensor.numel(), dtype=torch.float64) for tensor in outputs]
        pairs = zip(outputs, weights, strict=True)
        torch.autograd.backward(outputs, [w.reshape(tensor.shape).to(tensor) for tensor, w in pairs])
    leaves = {path: thing for path, thing in things.items() if isinstance(thing, torch.Tensor) and thing.is_leaf}
    return {f"{path}.grad": leaf.grad for path, leaf in leaves.items() if leaf.grad is not None}


def _same(left: Any, right: Any, rtol: float, atol: float) -> bool:
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        alike = (left.dtype, left.shape, left.requires_grad) == (right.dtype, right.shape, right.requires_grad)
        return alike and torch.allclose(left, right, rtol, atol, equal_nan=True)
    if isinstance(left, list | tuple):
        return (
            type(left) is type(right)
            and len(left) == len(right)
            and all(_same(one, other, rtol, atol) for one, other in zip(left, right, strict=True))
        )
    if isinstance(left, float) and isinstance(right, float):
        both_nan = math.isnan(left) and math.isnan(right)
        return both_nan or math.isclose(left, right, rel_tol=rtol, abs_tol=atol)
    return type(left) is type(right) and bool(left == right)


def _short(thing: Any) -> str:
    text = " ".join(repr(thing).split())
    return text if len(text) <= 80 else text[:77] + "..."


def _generators() -> tuple[Any, Any]:
    return torch.get_rng_state(), random.getstate()


def _set_generators(states: tuple[Any, Any]) -> None:
    torch.set_rng_state(states[0])
    random.setstate(states[1])

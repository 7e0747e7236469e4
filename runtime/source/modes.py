"""Puts a program for training and one for eval together, if they differ only in what tells functions the mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch.nn.functional as F

from d2s.runtime.errors import D2SError
from d2s.runtime.ir.canonical import canonical
from d2s.runtime.ir.program import Block, Call, Op, Program, Value
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.sources import Member
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import IsValue
from d2s.runtime.source.trees import TRAINING

# What gives its argument back in eval mode, so that it is not in programs for that.
_ONLY_IN_TRAINING = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)


@dataclass(frozen=True)
class Variant:
    """A program to be written, and what it assumes: `training` is the mode that it is for, None for both."""

    program: Program
    arguments: tuple[str, ...]
    training: bool | None


def joined(variants: Iterable[Variant]) -> list[Variant]:
    """The variants, with one in place of two that do the same in training and in eval mode."""
    kept = list(variants)
    in_eval = {_key(one, one.program): one for one in kept if one.training is False}
    for place, variant in enumerate(kept):
        if variant.training:
            other = in_eval.get(_key(variant, _InEval().program(variant.program)))
            if other is not None:
                kept[place] = replace(variant, program=_InEither().program(variant.program), training=None)
                kept.remove(other)
    return kept


def training_of(capture: Capture) -> bool | None:
    """Whether a program is for training or for eval; None if it is for both.

    Raises:
        D2SError: some of its modules are in the one mode, some in the other.
    """
    modes = {
        guard.check.value
        for guard in capture.guards
        if isinstance(guard.source, Member) and guard.source.name == "training" and isinstance(guard.check, IsValue)
    }
    if len(modes) > 1:
        raise D2SError("a program for some modules in training and some in eval mode can't be written as source")
    return modes.pop() if modes else None


def _key(variant: Variant, program: Program) -> Any:
    return canonical(program), variant.arguments


def _is_told(op: Op) -> bool:
    """Whether an op tells a function that the mode is training."""
    return isinstance(op, Call) and op.kwargs.get("training") is True


class _InEither(Rewriter):
    """What a program for training is if it tells functions the mode that the module is in."""

    def op(self, op: Op) -> Op:
        made = super().op(op)
        if isinstance(made, Call) and _is_told(made):
            made.kwargs["training"] = TRAINING
        return made


class _InEval(Rewriter):
    """What a program for training would be in eval mode."""

    def __init__(self) -> None:
        self._same: dict[Value, Any] = {}

    def value(self, value: Value) -> Any:
        return self._same.get(value, value)

    def block(self, block: Block) -> Block:
        return super().block(Block([op for op in block.ops if not self._gives_argument(op)], block.terminator))

    def op(self, op: Op) -> Op:
        made = super().op(op)
        if isinstance(made, Call) and _is_told(made):
            made.kwargs["training"] = False
        return made

    def _gives_argument(self, op: Op) -> bool:
        if not (isinstance(op, Call) and op.target in _ONLY_IN_TRAINING and _is_told(op)):
            return False
        if op.args and isinstance(op.result, Value) and not op.kwargs.get("inplace"):
            self._same[op.result] = self.tree(op.args[0])
            return True
        return False

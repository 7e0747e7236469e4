"""Lets calls raise of themselves where a program looks whether they did only to raise the same."""

from __future__ import annotations

from typing import Any

from d2s.runtime.ir.program import Block, Branch, Call, Program, Raise, Value, use_counts
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.recording.attempts import attempt
from d2s.runtime.recording.exceptions import remake_exception


def without_attempts(program: Program) -> Program:
    """The program with plain calls in place of those whose exceptions it raises on as they are."""
    return _WithoutAttempts(program).program(program)


class _WithoutAttempts(Rewriter):
    def __init__(self, program: Program):
        self._uses = use_counts(program)

    def block(self, block: Block) -> Block:
        made = super().block(block)
        last, end = made.ops[-1] if made.ops else None, made.terminator
        if not (isinstance(last, Call) and last.target is attempt and isinstance(end, Branch)):
            return made
        kind, function, *args = last.args
        failed, message, answer = last.result
        seen = [self._uses[one] for one in (failed, message) if isinstance(one, Value)]
        if end.condition != failed or any(count != 1 for count in seen) or not _raises_on(end.then, kind, message):
            return made
        call = Call(function, tuple(args), last.kwargs, answer, last.effects, last.modes, last.location)
        return Block([*made.ops[:-1], call, *end.orelse.ops], end.orelse.terminator)


def _raises_on(block: Block, kind: Any, message: Any) -> bool:
    """Whether a block only raises an exception of this kind that says this."""
    match block:
        case Block([Call(target=target, args=(made, (said,), {}), result=error)], Raise(raised, [])):
            return target is remake_exception and made is kind and said == message and raised == error
    return False

"""The operator for checkpointed functions, which torch runs again in the backward.

One that only computes becomes part of the program. What one writes is written again by the backward: the program then
calls it as the Python code that it is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Block
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.opaque import call_as_it_is, written_by
from d2s.runtime.recording.locations import user_location
from d2s.runtime.recording.loops import aside
from d2s.runtime.recording.places import Location
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.structures import tensors_in


def checkpointed(function: Any, *args: Any, use_reentrant: Any = None, **kwargs: Any) -> Any:
    """`checkpoint(function, *args, use_reentrant=use_reentrant, **kwargs)`."""
    recorder = active_recorder()
    options = {name: kwargs.pop(name) for name in _OPTIONS if name in kwargs}
    if recorder is None or use_reentrant is None or "context_fn" in options:
        return checkpoint(function, *args, use_reentrant=use_reentrant, **options, **kwargs)

    def run() -> Any:
        # The reentrant form gives what requires a gradient only if some argument does.
        on = not use_reentrant or _any_requires_grad(args)
        with torch.set_grad_enabled(on and torch.is_grad_enabled()):
            return recorder.form_of(function)(*args, **kwargs)

    again = _Again(recorder, function, args, {"use_reentrant": use_reentrant, **options, **kwargs})
    return again.recorded(run)


_OPTIONS = ("preserve_rng_state", "context_fn", "determinism_check", "debug", "early_stop")


class _Again:
    """A call of `checkpoint` that may be part of the program as it is."""

    def __init__(self, recorder: Recorder, function: Any, args: tuple[Any, ...], options: dict[str, Any]):
        self._recorder = recorder
        self._function = function
        self._args = args
        self._options = options

    def recorded(self, run: Callable[[], Any]) -> Any:
        """What `run()` gives, which is recorded; a call in its place if the backward would write what it writes."""
        recorder, region = self._recorder, self._recorder.region
        assert region is not None
        mark, key = recorder.journal.mark(), ("checkpoint", recorder.next_number)
        reads, reached = recorder.reads.copy(), recorder.reachable.roots_and_names()
        if key in region.forked:
            answer = run()
            if _any_requires_grad(answer) and recorder.reachable.written_since(mark):
                raise _refused("decides by values of tensors, and writes state")
            return answer
        with aside(recorder, key) as block:
            answer = run()
        changed = recorder.reachable.written_since(mark)
        if not _any_requires_grad(answer) or not (changed or self._writes_inputs(block)):
            recorder.block.ops += block.ops
            return answer
        recorder.journal.undo(mark)
        recorder.reads.restore(reads)
        recorder.reachable.restore_roots(reached)
        recorder.unwatched.update(self._names(changed))
        given = (self._function, *self._args)
        return call_as_it_is(recorder, checkpoint, given, self._options, block, answer)

    def _writes_inputs(self, block: Block) -> bool:
        inputs = {entry.value for entry in self._recorder.inputs}
        return not inputs.isdisjoint(written_by(block))

    def _names(self, changed: list[Location]) -> set[str]:
        """The names by which code asks for what is in these places."""
        found = set()
        for place in changed:
            name = getattr(self._recorder.reachable.source_of(place), "name", None)
            if name is None:
                raise _refused("writes what no name leads to")
            found.add(name)
        return found


def _any_requires_grad(tree: Any) -> bool:
    return any(tensor.requires_grad for tensor in tensors_in(tree))


def _refused(what: str) -> CaptureError:
    remedy = "write it outside of the checkpointed function"
    return CaptureError("D2S307", f"a checkpointed function {what}", remedy, user_location())


REPLACEMENTS[checkpoint] = checkpointed

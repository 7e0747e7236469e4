"""Finds the layers of `torch.nn` that programs call by their functions, so that they can be called as modules.

`F.linear(x, self.fc.weight, self.fc.bias)` with the tensors of what was a `Linear` is `self.fc(x)` again, and its
options are those of the call.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch

from d2s.runtime.ir.program import Block, Call, If, Op, Program, Role, Value, use_counts, walk_blocks
from d2s.runtime.ir.rewriting import Rewriter
from d2s.runtime.ir.sources import Argument, Member, Source, prefixes, read
from d2s.runtime.recording.capture import Capture
from d2s.runtime.recording.checks import IsValue
from d2s.runtime.source.layer_kinds import KINDS, ONLY_KIND, UNKNOWN, constructor
from d2s.runtime.standalone.module import ROOT, Part, StaticModule


@dataclass(frozen=True)
class LayerCall:
    """What a program calls in place of a layer's function: the layer at `source`."""

    source: Source

    @property
    def __name__(self) -> str:
        return str(self.source).rpartition(".")[2]

    def __call__(self, input: Any) -> Any:
        raise AssertionError("a call of a layer is written, not run")


@dataclass(frozen=True)
class _Use:
    """A call of a layer's function: the layer, what makes it, the ops that are its `forward`, and its call."""

    part: Part
    made: str
    ops: tuple[Op, ...]
    call: Call


class Layers:
    """The layers that the programs of a module use."""

    def __init__(self, module: StaticModule, captures: Iterable[Capture]):
        self._module = module
        # Where a tensor is in layers that could be called: in more than one if it is tied.
        self._layers_with: dict[int, list[tuple[Source, Part]]] = {}
        for place, part in _parts(Argument(ROOT), module):
            if (part.d2s_kind in KINDS or part.d2s_kind == UNKNOWN) and not part._modules:
                for tensor in (*part._parameters.values(), *part._buffers.values()):
                    if tensor is not None:
                        self._layers_with.setdefault(id(tensor), []).append((place, part))
        self._made: dict[Part, str | None] = {}
        for capture in captures:
            for use in self._uses(capture):
                agree = self._made.setdefault(use.part, use.made) == use.made
                self._made[use.part] = use.made if agree else None

    def constructor(self, part: Part) -> str | None:
        """What makes a layer with the tensors of this part; None if it is no layer that is known."""
        return self._made.get(part)

    def called(self, capture: Capture) -> Program:
        """The program with calls of layers in place of those of their functions."""
        uses = [use for use in self._uses(capture) if self._made[use.part] is not None]
        called = _Calling(uses).program(capture.program)
        used = use_counts(called)
        called.inputs = [one for one in called.inputs if one.value in used or one.role is Role.ARGUMENT]
        return called

    def _uses(self, capture: Capture) -> Iterable[_Use]:
        state = _State(capture, self._module)
        for block in walk_blocks(capture.program.body):
            for previous, op in zip([None, *block.ops], block.ops, strict=False):
                if isinstance(op, Call):
                    yield from self._use(op, previous, state)

    def _use(self, op: Call, previous: Op | None, state: _State) -> Iterable[_Use]:
        tensors = [state.tensors[value] for value in op.operands if value in state.tensors]
        candidates = (layer for tensor in tensors for layer in self._layers_with.get(id(tensor), ()))
        for place, part in dict.fromkeys(candidates):
            guessed = ONLY_KIND.get(op.target, "") if part._parameters.get("weight") is not None else ""
            name = guessed if part.d2s_kind == UNKNOWN else part.d2s_kind
            fits = name in KINDS and KINDS[name].function is op.target
            use = _use_of(op, previous, place, part, name, state) if fits else None
            if use is not None:
                yield use
                return


class _State:
    """What a program finds in its module: `tensors` by value, and the modes of training that it was captured in."""

    def __init__(self, capture: Capture, module: StaticModule):
        program = capture.program
        self._sources = {one.value: one.source for one in program.inputs if str(prefixes(one.source)[0]) == ROOT}
        self.tensors = {value: read(source, {ROOT: module}) for value, source in self._sources.items()}
        self._written = {write.source for write in program.writes()}
        self._modes = {
            guard.source: guard.check.value for guard in capture.guards if isinstance(guard.check, IsValue)
        }

    def is_mode_of(self, place: Source, mode: Any) -> bool:
        """Whether this is the mode of training that the layer at a place is in, all the time."""
        flag = Member(place, "", "training")
        if flag in self._written:
            return False
        if isinstance(mode, Value):
            return self._sources.get(mode) == flag
        of_all = self._modes.get(Member(Argument(ROOT), "", "training"))
        return self._modes.get(flag, of_all) is mode


def _parts(place: Source, part: Part) -> Iterable[tuple[Source, Part]]:
    yield place, part
    for name, inner in part._modules.items():
        if isinstance(inner, Part):
            yield from _parts(Member(place, "_modules", name), inner)


def _use_of(
    op: Call,
    previous: Op | None,
    place: Source,
    part: Part,
    name: str,
    state: _State,
) -> _Use | None:
    """A call of the function of a layer; None if it is not for all tensors of the layer, or not as the layer does."""
    kind = KINDS[name]
    names = kind.takes.split()
    given = dict(zip(names, op.args, strict=False)) | op.kwargs
    own = {**part._parameters, **part._buffers}
    if any(state.tensors.get(given.get(one)) is not own[one] for one in names if one in own):  # type: ignore[arg-type]
        return None
    options = {one: thing for one, thing in given.items() if one != "input" and one not in own}
    mode = options.pop("training", None)
    if any(isinstance(thing, Value) for thing in options.values()):
        return None
    if mode is not None and not state.is_mode_of(place, mode):
        return None
    ops: tuple[Op, ...] = (op,)
    if mode is True or isinstance(mode, Value):
        if previous is None or not _counts_batches(previous, mode, state.tensors, own.get("num_batches_tracked")):
            return None
        ops = (previous, op)
    made = constructor(name, part, kind.options(options, part))
    call = Call(LayerCall(place), (given["input"],), {}, op.result, op.effects, op.modes, op.location)
    return None if made is None else _Use(part, made, ops, call)


class _Calling(Rewriter):
    """Puts the calls of layers in their places."""

    def __init__(self, uses: Iterable[_Use]):
        self._new = {id(op): use.call if op is use.ops[-1] else None for use in uses for op in use.ops}

    def block(self, block: Block) -> Block:
        ops = [made for op in block.ops if (made := self._new.get(id(op), op)) is not None]
        return super().block(Block(ops, block.terminator))


def _counts_batches(op: Op, mode: Any, tensors: dict[Value, Any], counter: Any) -> bool:
    """Whether an op is what a norm over batches does first when it trains, as this flag says."""
    if isinstance(op, If) and op.condition == mode and not op.orelse.ops and len(op.then.ops) == 1:
        return _counts_batches(op.then.ops[0], True, tensors, counter)
    counts = isinstance(op, Call) and op.target is torch.Tensor.add_ and op.args[1:] == (1,)
    return counts and mode is True and tensors.get(op.operands[0]) is counter

"""The gradients of tensors, as places of state: whether a tensor has one at a point of the function.

A gradient is set by the run itself, so nothing is written back at the end. What the recording has to know is only
whether there is one, and that differs between the sides of a branch and the trips of a loop as other state does.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from d2s.runtime.ir.program import ORDERED, Value
from d2s.runtime.recording.places import Location
from d2s.runtime.torch_internals.modes import without_recording

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


class Presence(enum.Enum):
    """Whether a tensor has a gradient."""

    NONE = "no"
    SOME = "yes"
    MAYBE = "only the run knows"

    @classmethod
    def of(cls, known: bool) -> Presence:
        """That of a gradient of which it is known whether it is there."""
        return cls.SOME if known else cls.NONE


@dataclass(frozen=True, eq=False)
class Gradient:
    """What is known of a gradient: what its fake is, and what stands for it since it was read."""

    presence: Presence
    fake: torch.Tensor | None = None
    seen: torch.Tensor | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Gradient) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.presence, id(self.fake), id(self.seen)

    def joined(self, other: Gradient) -> Gradient:
        """What is known where it may be either."""
        if self == other:
            return self
        return Gradient(self.presence if self.presence is other.presence else Presence.MAYBE)


@dataclass(frozen=True, eq=False)
class GradientLocation(Location):
    """Where the gradient of a fake tensor is."""

    gradients: Gradients

    def read(self) -> Gradient:
        return self.gradients.of(self.owner)

    def write(self, value: Gradient) -> None:
        self.gradients.put(self.owner, value)


@dataclass(frozen=True)
class Reach:
    """Where a backward pass comes to: nodes of the graph of gradients, and the ids of leaves.

    `unbounded` is whether it may come to any other.
    """

    surely: frozenset[Any] = frozenset()
    perhaps: frozenset[Any] = frozenset()
    unbounded: bool = False

    def presence(self, fake: torch.Tensor) -> Presence:
        """Whether the pass comes to a tensor."""
        with without_recording():
            key, is_any = fake.grad_fn or id(fake), self.unbounded and fake.requires_grad
        if key in self.surely:
            return Presence.SOME
        return Presence.MAYBE if is_any or key in self.perhaps else Presence.NONE

    def __or__(self, other: Reach) -> Reach:
        surely, perhaps = self.surely | other.surely, self.perhaps | other.perhaps
        return Reach(surely, perhaps - surely, self.unbounded or other.unbounded)

    def either(self, other: Reach) -> Reach:
        """What a pass comes to that goes one way or the other."""
        surely = self.surely & other.surely
        perhaps = self.surely | self.perhaps | other.surely | other.perhaps
        return Reach(surely, perhaps - surely, self.unbounded or other.unbounded)


class Gradients:
    """What is known of the gradients in one run of the function."""

    def __init__(self, recorder: Recorder):
        self._recorder = recorder
        self._known: dict[int, tuple[torch.Tensor, Gradient]] = {}
        # What stands for one of several tensors, by the node of the graph of gradients that made it.
        self._stand_ins: dict[Any, torch.Tensor] = {}
        self._sources: dict[int, list[torch.Tensor]] = {}
        self._histories: dict[Value, tuple[torch.Tensor, torch.Tensor]] = {}
        self._hooked: set[int] = set()
        self._differentiable = False

    def of(self, fake: torch.Tensor) -> Gradient:
        """What is known of the gradient of a tensor."""
        if id(fake) in self._known:
            return self._known[id(fake)][1]
        if self._is_stand_in(fake):
            return Gradient(Presence.MAYBE)
        with without_recording():
            given = fake.grad if fake.is_leaf else None
        return Gradient(Presence.of(given is not None), given)

    def put(self, fake: torch.Tensor, gradient: Gradient) -> None:
        """From now on this is known of it."""
        self._known[id(fake)] = fake, gradient
        with without_recording():
            if fake.is_leaf:
                fake.grad = gradient.fake

    def note_stand_in(self, fake: torch.Tensor) -> None:
        """A tensor, which may have a history, stands for one of several."""
        with without_recording():
            self._stand_ins[fake.grad_fn] = fake

    def note_descent(self, fake: torch.Tensor, sources: list[torch.Tensor]) -> None:
        """A tensor has been computed from these, though its history does not lead there."""
        self.note_stand_in(fake)
        self._sources[id(fake)] = sources

    def note_histories(self, values: list[Value], lefts: list[Any], rights: list[Any]) -> None:
        """The tensors for these values stand each for one of two things."""
        for value, left, right in zip(values, lefts, rights, strict=True):
            if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
                self._histories[value] = self._recorder.fake(left), self._recorder.fake(right)

    def _is_stand_in(self, fake: torch.Tensor) -> bool:
        with without_recording():
            return fake.grad_fn in self._stand_ins

    # -------------------------------------------------------------- what changes them

    def reach(self, roots: Iterable[torch.Tensor]) -> Reach:
        """What a backward pass from some tensors comes to."""
        with without_recording():
            return self._reach(roots, {})

    def _reach(self, roots: Iterable[torch.Tensor], known: dict[int, Reach]) -> Reach:
        nodes: set[Any] = set()
        open_ = [fake.grad_fn or id(fake) for fake in roots if fake.requires_grad]
        while open_:
            node = open_.pop()
            if node in nodes:
                continue
            nodes.add(node)
            if isinstance(node, int):
                continue
            open_ += [following for following, _ in node.next_functions if following is not None]
            if hasattr(node, "variable"):
                nodes.add(id(node.variable))
        reach = Reach(frozenset(nodes))
        for node in nodes & self._stand_ins.keys():
            reach |= self._reach_of(self._stand_ins[node], known)
        return reach

    def _reach_of(self, fake: torch.Tensor, known: dict[int, Reach]) -> Reach:
        """What a pass comes to from a tensor that stands for another."""
        if id(fake) not in known:
            sides = self._histories.get(self._recorder.value_of(fake))
            if id(fake) in self._sources:
                known[id(fake)] = self._reach(self._sources[id(fake)], known)
            elif sides is None:
                known[id(fake)] = Reach(unbounded=True)
            else:
                left, right = (self._reach([side], known) for side in sides)
                known[id(fake)] = left.either(right)
        return known[id(fake)]

    def add(
        self,
        roots: list[torch.Tensor],
        inputs: list[torch.Tensor] | None,
        differentiable: bool,
        run: Callable[[], Any],
    ) -> Any:
        """What `run` gives, which adds to the gradients of all that a pass from `roots` comes to, or of `inputs`.

        `differentiable` is whether the gradients have a history.
        """
        reach = self.reach(roots)
        if differentiable:
            self._differentiable = self._recorder.uncertain_gradients = True
        found: list[tuple[torch.Tensor, Gradient, Presence]] = []
        for fake in self._holders() if inputs is None else inputs:
            presence = reach.presence(fake)
            if presence is not Presence.NONE:
                found.append((fake, self.of(fake), Presence.MAYBE if id(fake) in self._hooked else presence))
                self._recorder.journal.note(GradientLocation(fake, self))
        answer = run()
        for fake, before, presence in found:
            with without_recording():
                now = fake.grad if fake.is_leaf else None
            if presence is Presence.MAYBE:
                self.put(fake, before.joined(Gradient(Presence.SOME)))
            elif differentiable and self._recorder.broken_history:
                self.put(fake, Gradient(Presence.SOME))
            elif before.presence is not Presence.SOME or now is not before.fake:
                self.put(fake, Gradient(Presence.SOME, now))
        self._forget(self._stand_ins.values())
        return answer

    def _holders(self) -> list[torch.Tensor]:
        """The tensors that hold the gradient that a pass has for them."""
        with without_recording():
            return [fake for fake in self._recorder.bound() if fake.is_leaf or fake.retains_grad]

    def set(self, fake: torch.Tensor, gradient: torch.Tensor | None) -> None:
        """The user sets the gradient of a tensor, or takes it away."""
        self._forget(self._recorder.bound() if self._is_stand_in(fake) else self._stand_ins.values())
        known = Gradient(Presence.of(gradient is not None), gradient, gradient)
        self._recorder.journal.write(GradientLocation(fake, self), known)

    def _forget(self, fakes: Iterable[torch.Tensor]) -> None:
        """Others may have another gradient now."""
        for fake in fakes:
            if self.of(fake).presence is not Presence.MAYBE:
                self._recorder.journal.write(GradientLocation(fake, self), Gradient(Presence.MAYBE))

    def note_hook(self, fake: torch.Tensor) -> None:
        """A hook of the user's is called when the tensor has got its gradient, and may take it away."""
        self._hooked.add(id(fake))

    # -------------------------------------------------------------- reading

    def read(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The gradient of a tensor here; where only the run knows whether there is one, that is decided."""
        recorder, fake = self._recorder, self._recorder.fake(tensor)
        location, gradient = GradientLocation(fake, self), self.of(fake)
        if gradient.presence is Presence.MAYBE:
            found = recorder.decide(recorder.number_call(has_gradient, (tensor,), bool, effects=ORDERED))
            gradient = Gradient(Presence.of(found))
            recorder.journal.write(location, gradient)
        if gradient.presence is Presence.SOME and gradient.seen is None:
            seen = self._stand_in_for(fake, gradient.fake)
            recorder.emit_call(_READ, (tensor,), {}, recorder.value_of(seen), ORDERED)
            gradient = Gradient(Presence.SOME, gradient.fake, seen)
            recorder.journal.write(location, gradient)
        return gradient.seen

    def _stand_in_for(self, fake: torch.Tensor, gradient: torch.Tensor | None) -> torch.Tensor:
        """What stands for the gradient of a tensor, as far as it is known."""
        recorder = self._recorder
        if gradient is None:
            kind = replace(recorder.type_of(fake), requires_grad=self._differentiable)
            return recorder.stand_in(recorder.fresh(kind))
        with without_recording(), torch.enable_grad():
            seen = torch.ops.aten.alias(gradient)
        recorder.bind(seen, recorder.fresh(recorder.type_of(seen)))
        return seen


_READ = torch.Tensor.grad.__get__


def has_gradient(tensor: torch.Tensor) -> bool:
    """Whether a tensor has a gradient now."""
    return tensor.grad is not None

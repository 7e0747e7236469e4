"""What is known on the current path about the truth of values: decided once, it is not asked again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from d2s.runtime.ir.program import Value


class Facts:
    """The truth of conditions. That of a tensor is forgotten when its memory is written."""

    def __init__(self) -> None:
        self._truths: dict[int, bool] = {}
        self._opposites: dict[int, Value] = {}
        self._memory: dict[int, int | None] = {}

    def truth(self, value: Value) -> bool | None:
        """True or False where it is known, else None."""
        return self._truths.get(value.number)

    def learn(self, value: Value, truth: bool) -> None:
        """Note the truth of a value, and so that of what it is the opposite of."""
        self._truths[value.number] = truth
        if value.number in self._opposites:
            self.learn(self._opposites[value.number], not truth)

    def is_opposite(self, value: Value, of: Value) -> None:
        """Note that a value is `not of`."""
        self._opposites[value.number] = of

    def depends_on(self, value: Value, memory: int | None) -> None:
        """Note the storage of a tensor whose truth is asked."""
        self._memory[value.number] = memory

    def forget_written(self, memories: Iterable[int | None]) -> None:
        """Forget the truth of the tensors that share these storages."""
        written = set(memories)
        for number, memory in self._memory.items():
            if memory in written:
                self._truths.pop(number, None)
        self._opposites = {
            number: of for number, of in self._opposites.items() if self._memory.get(of.number) not in written
        }

    def forget_tensors(self) -> None:
        """Forget the truth of all tensors: a loop may write to them."""
        self.forget_written(set(self._memory.values()))

    def forget_from(self, number: int) -> None:
        """Forget all about the values from this number on: the numbers are given anew."""
        self._truths = {value: truth for value, truth in self._truths.items() if value < number}
        self._memory = {value: memory for value, memory in self._memory.items() if value < number}
        self._opposites = {
            value: of for value, of in self._opposites.items() if value < number and of.number < number
        }

    def copy(self) -> Facts:
        """The same facts, to be changed apart."""
        new = Facts()
        new._truths, new._opposites, new._memory = dict(self._truths), dict(self._opposites), dict(self._memory)
        return new

    @contextmanager
    def supposing(self, value: Value, truth: bool) -> Iterator[None]:
        """What is learnt inside, and the truth of `value`, hold inside only."""
        before = dict(self._truths)
        self.learn(value, truth)
        try:
            yield
        finally:
            after = self._truths
            # What was forgotten inside stays forgotten.
            self._truths = {number: known for number, known in before.items() if after.get(number) == known}

"""Lists and tuples whose length is known only when the program runs.

A list that the function makes is Python's own, until a loop or a branch would leave it with one length or another.
Then the function is recorded again, and what is made at that place of the code is a `RunTimeList`: it holds nothing,
and stands for the list that the program has when it runs. What is done to it are ops; they change that list in
place, so that names, branches and loops share it as they do in eager. A tuple becomes a `RunTimeTuple` on the spot,
for nothing can change it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import ORDERED, PURE, Effects, Value
from d2s.runtime.recording.locations import Site
from d2s.runtime.recording.numbers import number_kind
from d2s.runtime.recording.staged import RunTimeValue

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder
    from d2s.runtime.recording.specs import Spec


def is_run_time_sequence(thing: object) -> bool:
    """Whether this is a list or tuple whose length is known only when the program runs."""
    return issubclass(type(thing), RunTimeSequence)


def is_run_time_list(thing: object) -> bool:
    """Whether this is a list whose length is known only when the program runs."""
    return type(thing) is RunTimeList


class RunTimeSequence(RunTimeValue):
    """What lists and tuples share. `value` is the value in the program; to Python itself they are empty."""

    kind: Any

    def item_spec(self) -> Spec | None:
        """What an item may be; None if there can't be any."""
        raise NotImplementedError

    def refusal(self, what: str) -> BaseException:
        """What to raise where Python itself has to know."""
        raise NotImplementedError

    # -------------------------------------------------------------- reading

    def item(self, target: Callable[..., Any], *args: Any, effects: Effects = PURE) -> Any:
        """Record a call that gives an item."""
        return self.recorder.lists.item(self, target, args, effects)

    def derived(self, target: Callable[..., Any], *args: Any, more: Any = ()) -> Any:
        """Record a call that makes another of such items, and of those in `more`."""
        raise NotImplementedError

    def __getitem__(self, position: Any) -> Any:
        if isinstance(position, slice):
            return self.derived(operator.getitem, self, position)
        return self.item(operator.getitem, self, position)

    def length(self) -> Any:
        """`len(self)`."""
        return self.recorder.number_call(len, (self,), int)

    def __iter__(self) -> Iterator[Any]:
        raise self.refusal("each item")

    def __reversed__(self) -> Iterator[Any]:
        return iter(self.derived(operator.getitem, self, slice(None, None, -1)))

    def __len__(self) -> int:
        raise self.refusal("the length")

    def __bool__(self) -> bool:
        return bool(self.length() > 0)

    def __contains__(self, item: Any) -> bool:
        return bool(self.recorder.number_call(operator.contains, (self, item), bool))

    def __eq__(self, other: object) -> Any:
        if not isinstance(other, self.kind):
            return NotImplemented
        return self.recorder.number_call(operator.eq, (self, other), bool)

    def __ne__(self, other: object) -> Any:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def index(self, *args: Any) -> Any:
        return self.recorder.number_call(self.kind.index, (self, *args), int)

    def count(self, item: Any) -> Any:
        return self.recorder.number_call(self.kind.count, (self, item), int)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, self.kind):
            return NotImplemented
        return self.derived(operator.add, self, other, more=other)

    def __radd__(self, other: Any) -> Any:
        if not isinstance(other, self.kind):
            return NotImplemented
        return self.derived(operator.add, other, self, more=other)

    def __mul__(self, times: Any) -> Any:
        return self.derived(operator.mul, self, times) if number_kind(times) is int else NotImplemented

    __rmul__ = __mul__

    # -------------------------------------------------------------- what can't be

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise self.refusal("a pickle")

    def __copy__(self) -> Any:
        return self.derived(self.kind, self)

    def __deepcopy__(self, memo: Any) -> Any:
        raise self.refusal("a deep copy")

    def __repr__(self) -> str:
        return f"<{self.kind.__name__} {self.value}>"

    def __str__(self) -> str:
        raise self.refusal("the text")

    def __lt__(self, other: Any) -> Any:
        raise self.refusal("the order")

    __le__ = __gt__ = __ge__ = __lt__


class RunTimeTuple(RunTimeSequence, tuple):
    """A tuple of the program; `items` is what an item may be."""

    kind = tuple
    items: Spec | None
    owner: Any  # the dict or set that it was made of, None if it was not
    __hash__ = None  # type: ignore[assignment]

    def __new__(cls, recorder: Recorder, value: Value, items: Spec | None, owner: Any = None) -> RunTimeTuple:
        made = super().__new__(cls)
        made.recorder, made.value, made.items, made.owner = recorder, value, items, owner
        return made

    def item_spec(self) -> Spec | None:
        return self.items

    def derived(self, target: Callable[..., Any], *args: Any, more: Any = ()) -> Any:
        return self.recorder.lists.derived_tuple(self.items, target, args, more)

    def refusal(self, what: str) -> BaseException:
        return self.recorder.pending(needed(what, tuple)) if self.owner is None else self.owner.refusal(what)


class RunTimeList(RunTimeSequence, list):
    """A list of the program; `site` is the place of the code that makes it."""

    kind = list

    def __init__(self, recorder: Recorder, value: Value, site: Site):
        super().__init__()
        self.recorder = recorder
        self.value = value
        self.site = site

    def item_spec(self) -> Spec | None:
        return self.recorder.lists.items_at(self.site)

    def derived(self, target: Callable[..., Any], *args: Any, more: Any = ()) -> Any:
        return self.recorder.lists.derived_list(self, target, args, more)

    def refusal(self, what: str) -> BaseException:
        return self.recorder.lists.refuse(self.site, what)

    def copy(self) -> RunTimeList:
        return self.derived(list, self)

    # -------------------------------------------------------------- writing

    def _write(self, target: Callable[..., Any], *args: Any) -> None:
        self.recorder.emit_call(target, (self, *args), {}, None, ORDERED)

    def append(self, item: Any) -> None:
        self.recorder.lists.note_items(self.site, [item])
        self._write(list.append, item)

    def insert(self, position: Any, item: Any) -> None:
        self.recorder.lists.note_items(self.site, [item])
        self._write(list.insert, position, item)

    def extend(self, items: Any) -> None:
        given = items if isinstance(items, list) else list(items)
        self.recorder.lists.note_items(self.site, given)
        self._write(list.extend, given)

    def __iadd__(self, items: Any) -> Any:
        self.extend(items)
        return self

    def __imul__(self, times: Any) -> Any:
        self._write(operator.imul, times)
        return self

    def __setitem__(self, position: Any, item: Any) -> None:
        items = list(item) if isinstance(position, slice) and not isinstance(item, list) else item
        self.recorder.lists.note_items(self.site, items if isinstance(position, slice) else [item])
        self._write(operator.setitem, position, items)

    def __delitem__(self, position: Any) -> None:
        self._write(operator.delitem, position)

    def pop(self, *position: Any) -> Any:
        return self.item(list.pop, self, *position, effects=ORDERED)

    def remove(self, item: Any) -> None:
        self._write(list.remove, item)

    def clear(self) -> None:
        self._write(list.clear)

    def reverse(self) -> None:
        self._write(list.reverse)

    def sort(self, *, key: Any = None, reverse: Any = False) -> None:
        if key is not None:
            raise self.refusal("the order by a key")
        self.recorder.emit_call(list.sort, (self,), {"reverse": reverse} if reverse else {}, None, ORDERED)


def list_position(count: int, position: int) -> int:
    """Where an item of a list of so many is to be written, counted from the start.

    Raises:
        IndexError: nowhere, in Python's words.
    """
    if not -count <= position < count:
        raise IndexError("list assignment index out of range")
    return position % count


def needed(what: str, kind: type) -> CaptureError:
    """What to raise where something of a container has to be known."""
    reason = f"{what} of a {kind.__name__} whose length depends on values of tensors is asked for before the run"
    return CaptureError("D2S101", reason, "index it, iterate over it, or give it to a function of torch")

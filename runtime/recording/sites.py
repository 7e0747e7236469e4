"""Which places of the code make run-time lists, and what the items of those have in common.

Known is a spec for each such place. It is widened to what is put in; what was recorded by the narrower one is
recorded again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Effects, PythonType, Tree
from d2s.runtime.recording.lists import RunTimeList, RunTimeTuple, is_run_time_sequence, needed
from d2s.runtime.recording.locations import Site, current_site
from d2s.runtime.recording.regions import RecordAgain
from d2s.runtime.recording.specs import CONSTANTS, CannotJoinError, Joiner, Known, OfList, Spec, is_equal, stand_in
from d2s.runtime.recording.staged import is_staged

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


class ListFound(RecordAgain):
    """A place makes run-time lists, or such that hold others than was thought."""


class ListRefused(RecordAgain):
    """A place can't make run-time lists."""

    def __init__(self, sites: Sites, site: Site):
        self.settle = lambda: sites.give_up(site)


class Sites:
    """What is known of the lists of one recording."""

    def __init__(self, recorder: Recorder):
        self.recorder = recorder
        # By place: what an item of its lists can be, None as long as none was put in.
        self._items: dict[Site, Spec | None] = {}
        # A place to another with which it shares the entry in `_items`.
        self._same: dict[Site, Site] = {}
        self._refused: set[Site] = set()
        self._joiner = Joiner(recorder, anything=True)
        self.forget_run()

    def forget_run(self) -> None:
        """Begin a new run of the function."""
        # Lists of Python's own by `id`, each with the place that made it.
        self._made: dict[int, tuple[list[Any], Site]] = {}

    # -------------------------------------------------------------- making

    def made(self, items: list[Any]) -> list[Any]:
        """A new list with these items, made by the code that is running: one of the run if it has to be."""
        site = current_site()
        if self._root(site) not in self._items:
            self._made[id(items)] = items, site
            return items
        self.note_items(site, items)
        return self._new(list, (items,), site)

    def derived_list(
        self, given: RunTimeList, target: Callable[..., Any], args: tuple[Any, ...], more: Iterable[Any]
    ) -> RunTimeList:
        """The list of items of `given`, and of those in `more`, that a call makes."""
        site = current_site()
        self.united(site, given.site)
        self.note_items(site, more)
        return self._new(target, args, site)

    def derived_tuple(
        self, items: Spec | None, target: Callable[..., Any], args: tuple[Any, ...], more: Any = ()
    ) -> RunTimeTuple:
        """The tuple of such items, and of those in `more`, that a call makes.

        Raises:
            CaptureError: an item of each has nothing in common.
        """
        try:
            spec = self._joined(items, self.common_of(more))
        except CannotJoinError as error:
            reason = f"a tuple whose length depends on values of tensors gets items of two kinds: {error}"
            raise CaptureError("D2S201", reason, "give its items the same type") from None
        value = self.recorder.fresh(PythonType(tuple))
        self.recorder.emit_call(target, args, {}, value)
        return RunTimeTuple(self.recorder, value, spec)

    def common_of(self, items: Any) -> Spec | None:
        """What items have in common; None if there are none.

        Raises:
            CannotJoinError: nothing.
        """
        if is_run_time_sequence(items):
            return items.item_spec()
        spec = None
        for item in items:
            spec = self._joined(spec, self._spec_of(item))
        return spec

    def items_at(self, site: Site) -> Spec | None:
        """What an item of a list of this place may be."""
        return self._items[self._root(site)]

    def _new(self, target: Callable[..., Any], args: tuple[Any, ...], site: Site) -> RunTimeList:
        value = self.recorder.fresh(PythonType(list))
        self.recorder.emit_call(target, args, {}, value)
        return RunTimeList(self.recorder, value, site)

    def make_run_time(self, left: Any, right: Any, *contents: list[Any]) -> None:
        """Two lists, or specs of such, should be one: have them be run-time lists from now on, if they can be.

        Raises:
            ListFound: they can be.
        """
        found = [(thing, self._site_of(thing)) for thing in (left, right)]
        sites = [site for _, site in found if site is not None and site not in self._refused]
        if len(sites) < 2 and (not sites or OfList in (type(left), type(right))):
            return
        try:
            spec = self.common_of([item for held in contents or (left, right) if type(held) is list for item in held])
        except CannotJoinError:
            return
        for site in sites:
            self._items[site] = self._joined(self._items.get(site), spec)
        self.united(*sites)
        raise ListFound

    def as_made(self, thing: Any, like: Any) -> Any:
        """A thing that takes the place of another: if that is a list of Python's own, made where that was."""
        if id(like) in self._made:
            self._made[id(thing)] = thing, self._made[id(like)][1]
        return thing

    def _site_of(self, given: Any) -> Site | None:
        if isinstance(given, RunTimeList | OfList):
            return self._root(given.site)
        found = self._made.get(id(given))
        return None if found is None else self._root(found[1])

    # -------------------------------------------------------------- items

    def item(self, given: Any, target: Callable[..., Any], args: tuple[Any, ...], effects: Effects) -> Any:
        """The item that a call gives."""
        spec = given.item_spec()
        if spec is None:
            raise given.refusal("an item, before any is put in,")
        return self.item_of(spec, target, args, effects)

    def item_of(self, spec: Spec, target: Callable[..., Any], args: tuple[Any, ...], effects: Effects) -> Any:
        """What a call gives, of which a spec is known."""
        thing = stand_in(self.recorder, spec, [])
        self.recorder.emit_call(target, args, {}, _pattern(self.recorder, thing), effects)
        return thing

    def part_of(self, given: list[Any] | tuple[Any, ...], bounds: slice) -> Any:
        """`given[bounds]` of a list or tuple of Python's own.

        Raises:
            CannotJoinError: its items have nothing in common.
        """
        common = self.common_of(given)
        if isinstance(given, tuple):
            return self.derived_tuple(common, operator.getitem, (given, bounds))
        site = current_site()
        self._widen(site, common)
        return self._new(operator.getitem, (given, bounds), site)

    def example(self, given: Any) -> Any:
        """Something that an item may be."""
        spec = given.item_spec()
        return None if spec is None else stand_in(self.recorder, spec, [])

    def note_items(self, site: Site, items: Iterable[Any]) -> None:
        """These are put into the lists of a place.

        Raises:
            ListFound: they are others than was thought; record again.
        """
        if isinstance(items, RunTimeList):
            self.united(site, items.site)
            return
        for item in items:
            self._widen(site, self._spec_of(item))

    def united(self, *sites: Site) -> Site:
        """Have the lists of these places hold the same, whatever is put into any: the place that stands for them."""
        first, *rest = dict.fromkeys(map(self._root, sites))
        for other in rest:
            spec = self._items.pop(other, None)
            self._same[other] = first
            self._widen(first, spec)
        return first

    def _root(self, site: Site) -> Site:
        while site in self._same:
            site = self._same[site]
        return site

    def _widen(self, site: Site, spec: Spec | None) -> None:
        site = self._root(site)
        old = self._items.get(site)
        try:
            joined = self._joined(old, spec)
        except CannotJoinError as error:
            raise self.refuse(site, f"what it holds ({error})") from None
        self._items[site] = joined
        if old is not None and joined is not None and not is_equal(self.recorder, old, joined):
            raise ListFound

    def _joined(self, left: Spec | None, right: Spec | None) -> Spec | None:
        return self._joiner.join(left, right) if left is not None and right is not None else left or right

    def _spec_of(self, thing: Any) -> Spec:
        """What holds also on other runs: constants stay, the rest is general."""
        spec = self._joiner.lasting(Known(thing))
        if isinstance(spec, Known) and not self._outlives(thing):
            self.make_run_time(thing, thing)
            raise CannotJoinError(thing, thing)
        return spec

    def _outlives(self, thing: Any) -> bool:
        """Whether a thing is the same on the next run of the function."""
        return isinstance(thing, CONSTANTS) or self.recorder.reachable.find(thing) is not None

    # -------------------------------------------------------------- refusing

    def refuse(self, site: Site, what: str) -> BaseException:
        """What to raise where a list of a place would have to be known: record again, with a list of Python's own."""
        site = self._root(site)
        if site in self._refused:
            return self.recorder.pending(needed(what, RunTimeList))
        return self.recorder.pending(ListRefused(self, site))

    def give_up(self, site: Site) -> None:
        """Have the lists of a place be Python's own from now on."""
        self._refused.update([site, *(other for other in self._same if self._root(other) == site)])
        self._items.pop(site, None)
        self._same = {other: root for other, root in self._same.items() if self._root(other) != site}


def _pattern(recorder: Recorder, thing: Any) -> Tree:
    """What of a thing is a result of the call that gives it."""
    if is_staged(thing):
        return recorder.operand(thing)
    return tuple(_pattern(recorder, item) for item in thing) if isinstance(thing, tuple) else None

"""Which places of the code make run-time lists, and what the items of those have in common.

Known is a spec for each such place. It is widened to what is put in; what was recorded by the narrower one is
recorded again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Effects, PythonType, Tree
from d2s.runtime.recording.lists import RunTimeList, RunTimeTuple, is_run_time_sequence, needed
from d2s.runtime.recording.locations import Site, current_site
from d2s.runtime.recording.regions import RecordAgain
from d2s.runtime.recording.specs import (
    CONSTANTS,
    CannotJoinError,
    Joiner,
    Known,
    OfList,
    OfTable,
    OfTuple,
    Spec,
    is_equal,
    kind_of,
    stand_in,
)
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.tables import is_run_time_table, place_of_keys

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


class ContainerFound(RecordAgain):
    """A place makes containers of the run, or such that hold others than was thought."""


class ContainerRefused(RecordAgain):
    """A place can't make containers of the run."""

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
        # Lists, dicts and sets of Python's own by `id`, each with the place that made it.
        self._made: dict[int, tuple[Any, Site]] = {}

    # -------------------------------------------------------------- making

    def made(self, items: list[Any]) -> list[Any]:
        """A new list with these items, made by the code that is running: one of the run if it has to be."""
        site = current_site()
        if not self.is_found(site):
            self.remember(items, site)
            return items
        self.note_items(site, items)
        return self.new(list, (items,), site)

    def is_found(self, site: Site) -> bool:
        """Whether what a place makes is of the run."""
        return self._root(site) in self._items

    def is_refused(self, site: Site) -> bool:
        """Whether what a place makes can't be of the run."""
        return self._root(site) in self._refused

    def remember(self, container: Any, site: Site) -> None:
        """A container of Python's own was made at a place."""
        self._made[id(container)] = container, site

    def begun(self, site: Site) -> Site:
        """Have what a place makes be of the run: the place that stands for it."""
        self._items.setdefault(self._root(site), None)
        return self._root(site)

    def derived_list(
        self, given: RunTimeList, target: Callable[..., Any], args: tuple[Any, ...], more: Iterable[Any]
    ) -> RunTimeList:
        """The list of items of `given`, and of those in `more`, that a call makes."""
        site = current_site()
        self.united(site, given.site)
        self.note_items(site, more)
        return self.new(target, args, site)

    def derived_tuple(
        self, items: Spec | None, target: Callable[..., Any], args: tuple[Any, ...], more: Any = ()
    ) -> RunTimeTuple:
        """The tuple of such items, and of those in `more`, that a call makes.

        Raises:
            CaptureError: an item of each has nothing in common.
        """
        try:
            spec = self.joined(items, self.common_of(more))
        except CannotJoinError as error:
            reason = f"a tuple whose length depends on values of tensors gets items of two kinds: {error}"
            raise CaptureError("D2S201", reason, "give its items the same type") from None
        return self.tuple_of(spec, target, args)

    def tuple_of(
        self, spec: Spec | None, target: Callable[..., Any], args: tuple[Any, ...], owner: Any = None
    ) -> RunTimeTuple:
        """The tuple of such items that a call makes, of an `owner` that can do without."""
        value = self.recorder.fresh(PythonType(tuple))
        self.recorder.emit_call(target, args, {}, value)
        return RunTimeTuple(self.recorder, value, spec, owner)

    def common_of(self, items: Any) -> Spec | None:
        """What items have in common; None if there are none.

        Raises:
            CannotJoinError: nothing.
        """
        if is_run_time_sequence(items):
            return items.item_spec()
        spec = None
        for item in items:
            spec = self.joined(spec, self.spec_of(item))
        return spec

    def items_at(self, site: Site) -> Spec | None:
        """What an item of a list of this place may be."""
        return self._items[self._root(site)]

    def new(self, target: Callable[..., Any], args: tuple[Any, ...], site: Site) -> RunTimeList:
        """The list that a call makes, at a place."""
        value = self.recorder.fresh(PythonType(list))
        self.recorder.emit_call(target, args, {}, value)
        return RunTimeList(self.recorder, value, site)

    def new_of(self, spec: Spec, target: Callable[..., Any], args: tuple[Any, ...]) -> RunTimeList:
        """The list of such items that a call makes, which the code that is running asks for."""
        site = current_site()
        self.widen(site, spec)
        return self.new(target, args, site)

    def make_run_time(self, left: Any, right: Any, *contents: list[Any]) -> None:
        """Two containers, or specs of such, should be one: have them be of the run from now on, if they can be.

        Raises:
            ContainerFound: they can be.
        """
        found = [(thing, self._site_of(thing)) for thing in (left, right)]
        sites = [site for _, site in found if site is not None and site not in self._refused]
        if len(sites) < 2 and (not sites or {OfList, OfTable} & {type(left), type(right)}):
            return
        if len({kind_of(thing) for thing in (left, right)}) > 1:
            return
        held = [thing for thing in contents or (left, right) if isinstance(thing, list | dict | set)]
        try:
            keys = self.common_of([key for table in held if not isinstance(table, list) for key in table])
            items = self.common_of([item for container in held for item in _items_in(container)])
        except CannotJoinError:
            return
        for site in sites:
            self._items[site] = self.joined(self._items.get(site), items)
            if kind_of(left) is not list:
                place = place_of_keys(site)
                self._items[place] = self.joined(self._items.get(place), keys)
        self.united(*sites)
        if kind_of(left) is not list:
            self.united(*map(place_of_keys, sites))
        raise ContainerFound

    def find_table(self, table: Any) -> None:
        """A dict or set of Python's own should be one of the run.

        Raises:
            ContainerFound: it can be, from now on.
        """
        site = self._site_of(table)
        if site is not None and site not in self._refused:
            self.begun(site)
            raise ContainerFound

    def as_made(self, thing: Any, like: Any) -> Any:
        """A thing that takes the place of another: if that is a list of Python's own, made where that was."""
        if id(like) in self._made:
            self._made[id(thing)] = thing, self._made[id(like)][1]
        return thing

    def _site_of(self, given: Any) -> Site | None:
        if isinstance(given, RunTimeList | OfList):
            return self._root(given.site)
        if is_run_time_table(given) or isinstance(given, OfTable):
            return self._root(given.origin.site)
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

    def of_items(self, target: Callable[..., Any], given: list[Any] | tuple[Any, ...], other: Any) -> Any:
        """`target(given, other)`: a part, or a repetition, of a list or tuple of Python's own.

        Raises:
            CannotJoinError: its items have nothing in common.
        """
        common = self.common_of(given)
        if isinstance(given, tuple):
            return self.derived_tuple(common, target, (given, other))
        site = current_site()
        self.widen(site, common)
        return self.new(target, (given, other), site)

    def example(self, given: Any) -> Any:
        """Something that an item may be."""
        spec = given.item_spec()
        return None if spec is None else stand_in(self.recorder, spec, [])

    def note_items(self, site: Site, items: Iterable[Any]) -> None:
        """These are put into the lists of a place.

        Raises:
            ContainerFound: they are others than was thought; record again.
        """
        if isinstance(items, RunTimeList):
            self.united(site, items.site)
            return
        for item in items:
            self.widen(site, self.spec_of(item))

    def united(self, *sites: Site) -> Site:
        """Have the lists of these places hold the same, whatever is put into any: the place that stands for them."""
        first, *rest = dict.fromkeys(map(self._root, sites))
        for other in rest:
            spec = self._items.pop(other, None)
            self._same[other] = first
            self.widen(first, spec)
        return first

    def _root(self, site: Site) -> Site:
        while site in self._same:
            site = self._same[site]
        return site

    def widen(self, site: Site, spec: Spec | None) -> None:
        """Such are put into what a place makes."""
        site = self._root(site)
        old = self._items.get(site)
        try:
            joined = self.joined(old, spec)
        except CannotJoinError as error:
            raise self.refuse(site, f"what it holds ({error})") from None
        self._items[site] = joined
        if old is not None and joined is not None and not is_equal(self.recorder, old, joined):
            raise ContainerFound

    def joined(self, left: Spec | None, right: Spec | None) -> Spec | None:
        """What covers both."""
        return self._joiner.join(left, right) if left is not None and right is not None else left or right

    def spec_of(self, thing: Any) -> Spec:
        """What holds also on other runs: constants stay, the rest is general."""
        spec = self._joiner.lasting(Known(thing))
        self._check_lasting(spec)
        return spec

    def _check_lasting(self, spec: Spec) -> None:
        for item in spec.items if isinstance(spec, OfTuple) else ():
            self._check_lasting(item)
        if isinstance(spec, Known) and not self._outlives(spec.thing):
            self.make_run_time(spec.thing, spec.thing)
            raise CannotJoinError(spec.thing, spec.thing)

    def _outlives(self, thing: Any) -> bool:
        """Whether a thing is the same on the next run of the function."""
        return isinstance(thing, CONSTANTS) or self.recorder.reachable.find(thing) is not None

    # -------------------------------------------------------------- refusing

    def refuse(self, site: Site, what: str, kind: type = list) -> BaseException:
        """What to raise where what a place makes would have to be known: record again, with one of Python's own."""
        site = self._root(site)
        if site in self._refused:
            return self.recorder.pending(needed(what, kind))
        return self.recorder.pending(ContainerRefused(self, site))

    def give_up(self, site: Site) -> None:
        """Have what a place makes be Python's own from now on."""
        self._refused.update([site, *(other for other in self._same if self._root(other) == site)])
        self._items.pop(site, None)
        self._items.pop(place_of_keys(site), None)
        self._same = {other: root for other, root in self._same.items() if self._root(other) != site}


def _items_in(container: Any) -> Any:
    """The items of a list, or the values of a dict."""
    return container if isinstance(container, list) else container.values() if isinstance(container, dict) else ()


def _pattern(recorder: Recorder, thing: Any) -> Tree:
    """What of a thing is a result of the call that gives it."""
    if is_staged(thing):
        return recorder.operand(thing)
    return tuple(_pattern(recorder, item) for item in thing) if isinstance(thing, tuple) else None

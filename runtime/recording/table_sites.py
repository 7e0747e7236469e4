"""Which places of the code make run-time dicts and sets, and what their keys and values have in common.

Each such place is among the places that make lists, for its values, and again, for its keys: see `sites`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from d2s.runtime.ir.program import Effects, PythonType
from d2s.runtime.recording.branches import record_branch
from d2s.runtime.recording.lists import is_run_time_sequence
from d2s.runtime.recording.locations import Site, current_site
from d2s.runtime.recording.specs import CannotJoinError, OfList, OfPython, OfTable, OfTuple, Spec
from d2s.runtime.recording.tables import Origin, RunTimeTable, is_run_time_table, make_table

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

_NUMBERS = (int, float, bool, str)


def _here() -> Any:
    """The place of the code that is running, apart from what stands for a list made there."""
    return current_site(), "values"


class Tables:
    """What is known of the dicts and sets of one recording."""

    def __init__(self, recorder: Recorder):
        self.recorder = recorder
        self.sites = recorder.lists

    # -------------------------------------------------------------- making

    def made(self, table: Any, site: Site | None = None) -> Any:
        """A new dict or set of Python's own, made by the code that is running: one of the run if it has to be."""
        site = site or _here()
        if not self.sites.is_found(site):
            self.sites.remember(table, site)
            return table
        return self.of(type(table), table, site, getattr(table, "default_factory", None))

    def of(self, kind: type, given: Any, site: Site | None = None, factory: Any = None) -> Any:
        """`kind(given)`, made by the code that is running: a table of the run, unless that can't be."""
        origin = Origin(kind, site or _here(), factory)
        if self.sites.is_refused(origin.site):
            return kind(factory, given) if kind is collections.defaultdict else kind(given)
        self._begin(origin)
        given = self.noted(origin, given)
        return self._new(origin, kind, (factory, given) if kind is collections.defaultdict else (given,))

    def _begin(self, origin: Origin) -> None:
        """Have values that a table gets without being given any be among its values."""
        if origin.kind is collections.Counter:
            self.sites.widen(origin.site, OfPython(int))
        elif origin.factory in _NUMBERS:
            self.sites.widen(origin.site, OfPython(origin.factory))
        elif origin.factory is list:
            self.sites.widen(origin.site, OfList(self.sites.begun((origin.site, "default"))))
        elif origin.factory in (dict, set):
            default = Origin(origin.factory, (origin.site, "default"))
            self._begin_parts(default)
            self.sites.widen(origin.site, OfTable(default))
        elif origin.factory is not None:
            raise self.refuse(origin, "what its factory makes")

    def _new(self, origin: Origin, target: Callable[..., Any], args: tuple[Any, ...]) -> RunTimeTable:
        self._begin_parts(origin)
        value = self.recorder.fresh(PythonType(origin.kind))
        self.recorder.emit_call(target, args, {}, value)
        return make_table(self.recorder, value, origin)

    def _begin_parts(self, origin: Origin) -> None:
        self.sites.begun(origin.site)
        self.sites.begun(origin.keys)

    def derived(self, origin: Origin, target: Callable[..., Any], args: tuple[Any, ...]) -> RunTimeTable:
        """Another table of such keys and values, that a call makes."""
        made = Origin(origin.kind, _here(), origin.factory)
        self.united(made, origin)
        return self._new(made, target, args)

    def united(self, left: Origin, right: Origin) -> Origin:
        """Have the tables of two places hold the same keys and values: the one that stands for both."""
        self.sites.united(left.keys, right.keys)
        return Origin(left.kind, self.sites.united(left.site, right.site), left.factory)

    # -------------------------------------------------------------- what is put in

    def note(self, origin: Origin, keys: Iterable[Any], values: Iterable[Any] = ()) -> None:
        """These are put into the tables of a place."""
        self.sites.note_items(origin.keys, keys)
        self.sites.note_items(origin.site, values)

    def noted(self, origin: Origin, given: Any) -> Any:
        """What is given to a table to be put in, as an operand of a call."""
        if is_run_time_table(given):
            self.sites.united(origin.keys, given.origin.keys)
            if issubclass(origin.kind, dict) == issubclass(given.kind, dict):
                self.sites.united(origin.site, given.origin.site)
            return given
        if isinstance(given, dict):
            self.note(origin, given, given.values() if issubclass(origin.kind, dict) else ())
            return dict(given) if issubclass(origin.kind, dict) else tuple(given)
        if not is_run_time_sequence(given):
            given = tuple(given)
        if not issubclass(origin.kind, dict) or origin.kind is collections.Counter:
            self._note_keys(origin, given)
        else:
            self._note_pairs(origin, given)
        return given

    def _note_keys(self, origin: Origin, given: Any) -> None:
        if not is_run_time_sequence(given):
            self.sites.note_items(origin.keys, given)
        elif given.item_spec() is not None:
            self.sites.widen(origin.keys, given.item_spec())

    def _note_pairs(self, origin: Origin, given: Any) -> None:
        if not is_run_time_sequence(given):
            pairs = [tuple(pair) for pair in given]
            self.note(origin, [key for key, _ in pairs], [item for _, item in pairs])
            return
        spec = given.item_spec()
        if isinstance(spec, OfTuple) and len(spec.items) == 2:
            self.sites.widen(origin.keys, spec.items[0])
            self.sites.widen(origin.site, spec.items[1])
        elif spec is not None:
            raise self.refuse(origin, "what it is made of")

    def plain(self, other: Any) -> Any:
        """What a table is compared with, as an operand of a call."""
        if type(other) in (set, frozenset):
            value = self.recorder.fresh(PythonType(type(other)))
            self.recorder.emit_call(type(other), (tuple(other),), {}, value)
            return make_table(self.recorder, value, Origin(type(other), _here()))
        return other

    # -------------------------------------------------------------- what comes out

    def _keys(self, table: RunTimeTable) -> Spec | None:
        return self.sites.items_at(table.origin.keys)

    def _values(self, table: RunTimeTable) -> Spec | None:
        return self.sites.items_at(table.origin.site)

    def listed(self, table: RunTimeTable, target: Callable[..., Any], what: str) -> Any:
        """The tuple of the keys, values or items of a table."""
        key, value = self._keys(table), self._values(table)
        if what == "items":
            spec: Spec | None = OfTuple((None, None), (key, value)) if key and value else None
        else:
            spec = key if what == "keys" else value
        return self.sites.tuple_of(spec, target, (table,), table)

    def key(self, table: RunTimeTable, target: Callable[..., Any], args: tuple[Any, ...], effects: Effects) -> Any:
        """The key that a call gives."""
        return self._given(table, self._keys(table), target, args, effects)

    def item(self, table: RunTimeTable, target: Callable[..., Any], args: tuple[Any, ...], effects: Effects) -> Any:
        """The value that a call gives."""
        return self._given(table, self._values(table), target, args, effects)

    def _given(
        self, table: RunTimeTable, spec: Spec | None, target: Any, args: tuple[Any, ...], effects: Effects
    ) -> Any:
        if spec is None:
            raise table.refusal("an item, before any is put in,")
        return self.sites.item_of(spec, target, args, effects)

    def item_or(
        self, table: RunTimeTable, target: Callable[..., Any], key: Any, default: Any, effects: Effects
    ) -> Any:
        """`get` and `pop`: what is at a key, or another thing."""
        spec = self._values(table)
        if spec is None:
            return default
        try:
            joined = self.sites.joined(spec, self.sites.spec_of(default))
        except CannotJoinError:
            found = table.holds(key)
            take = lambda: self.item(table, target, (table, key), effects)  # noqa: E731
            return record_branch(self.recorder, found, take, lambda: default, [])
        assert joined is not None
        return self.sites.item_of(joined, target, (table, key, default), effects)

    def most_common(self, table: RunTimeTable, count: tuple[Any, ...]) -> Any:
        """`Counter.most_common`."""
        key = self._keys(table)
        pair = None if key is None else OfTuple((None, None), (key, OfPython(int)))
        site = current_site()
        if pair is not None:
            self.sites.widen(site, pair)
        return self.sites.new(collections.Counter.most_common, (table, *count), site)

    # -------------------------------------------------------------- refusing

    def refuse(self, origin: Origin, what: str) -> BaseException:
        """What to raise where a table of a place would have to be known."""
        return self.sites.refuse(origin.site, what, origin.kind)

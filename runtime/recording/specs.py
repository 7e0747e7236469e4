"""What is known of a thing that may be one of several: of a place after a branch, of a place in every trip of a loop.

    spec ::= Known(thing)                   this very thing, or one that can't be told from it
           | OfTensor(type)                 a tensor of this type
           | OfArray(type, checked)         an array or a scalar of numpy's of this type
           | OfPython(class)                a number or a text of this class
           | OfTuple(like, specs)           a tuple, named tuple or Size like this one
           | OfList(site)                   a list of the program, made at this place of the code
           | OfTuples(item)                 a tuple of the program, of any number of such items
           | OfTable(origin)                a dict or set of the program, made there
           | OfMade(like, keys, specs)      a list, dict or object like this one, which the call has made, by value
           | OfChoice(kinds, site)          one of several things of these classes, chosen at this place of the code
           | OfContents(like, keys, specs)  what a list, dict, set or deque contains
           | OfGradient(gradient)           whether there is a gradient

`join` is the least that covers both; `stand_in` makes a thing for a spec, with a value of the program for each part
that is not known; `parts` are those parts of a thing that a spec covers.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import torch

from d2s.runtime.ir.program import ArrayType, PythonType, TensorType, Tree, Value, ValueType
from d2s.runtime.recording.arrays import RunTimeArray, array_type, is_array, is_run_time_array
from d2s.runtime.recording.choices import RunTimeChoice, is_run_time_choice
from d2s.runtime.recording.gradients import Gradient, GradientLocation
from d2s.runtime.recording.lists import RunTimeList, RunTimeTuple, is_run_time_list, is_run_time_sequence
from d2s.runtime.recording.locations import Site, current_site
from d2s.runtime.recording.merged import NOTHING, Held, contents, with_contents
from d2s.runtime.recording.numbers import number_kind
from d2s.runtime.recording.places import ContentsLocation, Location
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import rebuilt
from d2s.runtime.recording.tables import Origin, is_run_time_table, make_table
from d2s.runtime.recording.texts import RunTimeText, is_run_time_text

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


class Unset(enum.Enum):
    """The value of a variable that will be set before it is read; it joins with anything."""

    UNSET = "unset"


UNSET = Unset.UNSET

CONSTANTS = (int, float, complex, bool, str, bytes, type(None), torch.dtype, torch.device, range)


def mark_of(tensor: torch.Tensor) -> str | None:
    """The attribute by which torch takes a tensor of any class for a parameter or a buffer; None if it is neither."""
    return next((mark for kind, mark in _MARKS.items() if isinstance(tensor, kind)), None)


_MARKS: dict[Any, str] = {torch.nn.Parameter: "_is_param", torch.nn.Buffer: "_is_buffer"}


class CannotJoinError(Exception):
    """Two things have no spec in common; never leaves the runtime."""

    def __init__(self, left: Any, right: Any):
        super().__init__(f"{describe(left)} and {describe(right)}")


def describe(thing: Any) -> str:
    """A few words for messages."""
    if isinstance(thing, torch.Tensor):
        return "a tensor"
    if thing is None or type(thing) in (bool, int, float):
        return repr(thing)
    return f"an object of {type(thing).__name__}"


@dataclass(frozen=True, eq=False)
class Known:
    thing: Any


@dataclass(frozen=True)
class OfTensor:
    """`mark` is what torch puts on a fake that stands for a parameter or a buffer, if it is one for sure."""

    type: TensorType
    mark: str | None = None


@dataclass(frozen=True)
class OfArray:
    """`checked` is whether nothing but this type can be there, whatever arrays hold."""

    type: ArrayType
    checked: bool


@dataclass(frozen=True)
class OfPython:
    kind: type


@dataclass(frozen=True)
class OfTuple:
    like: Any = field(compare=False)
    items: tuple[Spec, ...]


@dataclass(frozen=True)
class OfMade:
    like: Any = field(compare=False)
    keys: tuple[Any, ...]
    items: tuple[Spec, ...]


@dataclass(frozen=True)
class OfContents:
    """`keys` are those of a dict; a set is only ever joined with an equal one."""

    owner: Any = field(compare=False)
    like: Any = field(compare=False)
    keys: tuple[Any, ...]
    items: tuple[Spec, ...]


@dataclass(frozen=True)
class OfList:
    site: Site


@dataclass(frozen=True)
class OfTable:
    origin: Origin


@dataclass(frozen=True)
class OfTuples:
    item: Spec | None


@dataclass(frozen=True)
class OfChoice:
    kinds: frozenset[type]
    site: Site


@dataclass(frozen=True)
class OfGradient:
    gradient: Gradient


Spec = (
    Known
    | OfTensor
    | OfArray
    | OfPython
    | OfTuple
    | OfMade
    | OfChoice
    | OfContents
    | OfList
    | OfTable
    | OfTuples
    | OfGradient
)


def kind_of(given: Any) -> type:
    """The class of a container, or of what a spec of one covers."""
    if isinstance(given, OfTable):
        return given.origin.kind
    return list if isinstance(given, OfList) else cast(type, given.__class__)


def is_same(recorder: Recorder, left: Any, right: Any) -> bool:
    """Whether two things can't be told apart, now and when the program runs."""
    if left is right:
        return True
    if isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor):
        return recorder.value_of(left) == recorder.value_of(right)
    if type(left) is not type(right):
        return False
    if is_staged(left):
        return bool(left.value == right.value)
    if isinstance(left, tuple):
        pairs = zip(left, right, strict=False)
        return len(left) == len(right) and all(is_same(recorder, a, b) for a, b in pairs)
    if type(left) in CONSTANTS:
        # The texts differ for 0.0 and -0.0, which are equal, and agree for nan, which is not.
        return repr(left) == repr(right)
    return isinstance(left, types.MethodType) and left == right


def spec_at(location: Location, thing: Any) -> Spec:
    """The spec of what a location holds."""
    if isinstance(location, GradientLocation):
        return OfGradient(thing)
    if not isinstance(location, ContentsLocation):
        return Known(thing)
    keys = tuple(thing) if isinstance(thing, dict) else ()
    items = thing.values() if isinstance(thing, dict) else thing
    return OfContents(location.owner, thing, keys, tuple(map(Known, items)))


class Joiner:
    """Joins specs in one recording.

    `anything` says whether two texts, or two tuples of different length, become one of the run's, or can't be joined.
    `held` is what things hold of which the specs on the left, and those on the right, speak.
    """

    def __init__(self, recorder: Recorder, anything: bool = False, held: tuple[Held, Held] = (NOTHING, NOTHING)):
        self.recorder = recorder
        self.anything = anything
        self.held = held

    def join(self, left: Spec, right: Spec) -> Spec:
        """The least spec that covers both.

        Raises:
            CannotJoinError: there is none.
        """
        if isinstance(left, Known) and isinstance(right, Known):
            return self._join_known(left.thing, right.thing)
        if isinstance(left, OfContents) and isinstance(right, OfContents):
            return self._join_contents(left, right)
        if isinstance(left, OfGradient) and isinstance(right, OfGradient):
            return OfGradient(left.gradient.joined(right.gradient))
        for spec, other in ((left, right), (right, left)):
            if isinstance(spec, Known) and spec.thing is UNSET:
                return other
        left, right = self._both_general(left, right)
        if isinstance(left, OfTensor) and isinstance(right, OfTensor):
            return self._join_tensors(left, right)
        if isinstance(left, OfArray) and isinstance(right, OfArray):
            return self._join_arrays(left, right)
        if isinstance(left, OfTuple) and isinstance(right, OfTuple):
            return self._join_tuples(left, right)
        if isinstance(left, OfMade) and isinstance(right, OfMade):
            return self._join_made(left, right)
        if isinstance(left, OfPython) and left == right:
            return left
        if isinstance(left, OfList) and isinstance(right, OfList):
            return OfList(self.recorder.lists.united(left.site, right.site))
        if isinstance(left, OfTable) and isinstance(right, OfTable) and left.origin.is_like(right.origin):
            return OfTable(self.recorder.tables.united(left.origin, right.origin))
        if isinstance(left, OfTuple | OfTuples) and isinstance(right, OfTuple | OfTuples) and self.anything:
            return self._join_to_tuples(left, right)
        if isinstance(left, OfMade | OfList | OfTable) and isinstance(right, OfMade | OfList | OfTable):
            both = [side.like if isinstance(side, OfMade) else side for side in (left, right)]
            self.recorder.lists.make_run_time(both[0], both[1])
        return self._choice(left, right, CannotJoinError(left, right))

    def _both_general(self, left: Spec, right: Spec) -> tuple[Spec, Spec]:
        return self.general(left, self.held[0]), self.general(right, self.held[1])

    def general(self, spec: Spec, held: Held = NOTHING) -> Spec:
        """What is left of a spec when the thing itself is not meant: only its type, where the program can hold it."""
        if not isinstance(spec, Known):
            return spec
        thing = spec.thing
        if isinstance(thing, torch.Tensor):
            has_tags = self.recorder.tags.matter(thing, self.recorder.reachable.names)
            return spec if has_tags else OfTensor(self.recorder.type_of(thing), mark_of(thing))
        if is_run_time_array(thing):
            return OfArray(thing.type, thing.checked)
        kind = number_kind(thing)
        if kind is not None:
            return OfPython(kind)
        if is_array(thing):
            return self._of_known_array(thing)
        if is_run_time_text(thing) and thing.site is not None:
            return OfChoice(frozenset({str}), thing.site)
        if is_run_time_text(thing) or (type(thing) is str and self.anything):
            return OfPython(str)
        if is_run_time_sequence(thing):
            return OfList(thing.site) if is_run_time_list(thing) else OfTuples(thing.items)
        if is_run_time_table(thing):
            return OfTable(thing.origin)
        if is_run_time_choice(thing):
            return OfChoice(frozenset(thing.kinds), thing.site)
        if isinstance(thing, tuple):
            return OfTuple(thing, tuple(map(Known, thing)))
        if self.recorder.merged.can_be(thing):
            keys, items = contents(thing, held)
            return OfMade(thing, keys, tuple(map(Known, items)))
        return spec

    def _join_known(self, left: Any, right: Any) -> Spec:
        if is_same(self.recorder, left, right):
            return Known(left)
        if left is UNSET or right is UNSET:
            return self._of_run_time(right if left is UNSET else left)
        lefts, rights = self._both_general(Known(left), Known(right))
        if isinstance(lefts, Known) or isinstance(rights, Known):
            return self._choice(lefts, rights, CannotJoinError(left, right))
        return self.join(lefts, rights)

    def _of_run_time(self, thing: Any) -> Spec:
        """A spec that holds also where the values of this run are not seen: constants stay, the rest is general."""
        if is_staged(thing):
            return self.general(Known(thing))
        return OfTuple(thing, tuple(map(self._of_run_time, thing))) if isinstance(thing, tuple) else Known(thing)

    def _join_tuples(self, left: OfTuple, right: OfTuple) -> Spec:
        if type(left.like) is type(right.like) is tuple and len(left.items) != len(right.items) and self.anything:
            return self._join_to_tuples(left, right)
        if type(left.like) is not type(right.like) or len(left.items) != len(right.items):
            raise CannotJoinError(left.like, right.like)
        return OfTuple(left.like, self._join_all(left.items, right.items))

    def _join_tensors(self, left: OfTensor, right: OfTensor) -> Spec:
        if left.type.requires_grad != right.type.requires_grad:
            self.recorder.uncertain_gradients = True
        mark = left.mark if left.mark == right.mark else None
        return OfTensor(join_tensor_types(left.type, right.type), mark)

    def _of_known_array(self, thing: Any) -> Spec:
        """The spec of an array that is known: it is the user's, or else has to be one of the run."""
        found = self.recorder.arrays.found(thing)
        if found is not None:
            raise found
        return OfArray(array_type(thing), True)

    def _join_arrays(self, left: OfArray, right: OfArray) -> Spec:
        return OfArray(join_array_types(left.type, right.type), left.checked and right.checked)

    def _choice(self, left: Spec, right: Spec, error: CannotJoinError) -> Spec:
        """A choice of two specs that are no more alike.

        Raises:
            CannotJoinError: that can't be.
        """
        kinds, others = _kinds(left), _kinds(right)
        site = next((side.site for side in (left, right) if isinstance(side, OfChoice)), None) or current_site()
        if site in self.recorder.no_choices or kinds is None or others is None:
            raise error
        all_kinds = frozenset({*kinds, *others})
        if str in all_kinds and len(all_kinds) > 1:
            raise error
        return OfChoice(all_kinds, site)

    def _join_made(self, left: OfMade, right: OfMade) -> Spec:
        if type(left.like) is not type(right.like) or left.keys != right.keys or len(left.items) != len(right.items):
            self.recorder.lists.make_run_time(left.like, right.like)
            raise CannotJoinError(left.like, right.like)
        for made in (left, right):
            self.recorder.merged.keep(made.like)
        return OfMade(left.like, left.keys, self._join_all(left.items, right.items))

    def _join_to_tuples(self, left: OfTuple | OfTuples, right: OfTuple | OfTuples) -> Spec:
        """One spec for tuples of different length."""
        found: Spec | None = None
        for side in (left, right):
            if isinstance(side, OfTuple) and type(side.like) is not tuple:
                raise CannotJoinError(left, right)
            items = side.items if isinstance(side, OfTuple) else [] if side.item is None else [side.item]
            for item in map(self.lasting, items):
                found = item if found is None else self.join(found, item)
        return OfTuples(found)

    def lasting(self, spec: Spec) -> Spec:
        """What a spec says also of other trips and runs: constants stay, the rest is general."""
        spec = self.general(spec)
        if isinstance(spec, OfMade):
            return Known(spec.like)
        return OfTuple(spec.like, tuple(map(self.lasting, spec.items))) if isinstance(spec, OfTuple) else spec

    def _join_contents(self, left: OfContents, right: OfContents) -> Spec:
        if not _are_alike(left, right):
            self.recorder.lists.make_run_time(left.owner, right.owner, left.like, right.like)
            raise CannotJoinError(left.like, right.like)
        return OfContents(left.owner, left.like, left.keys, self._join_all(left.items, right.items))

    def _join_all(self, left: tuple[Spec, ...], right: tuple[Spec, ...]) -> tuple[Spec, ...]:
        return tuple(self.join(a, b) for a, b in zip(left, right, strict=True))


def _kinds(spec: Spec) -> Collection[type] | None:
    """The classes of what a spec covers, where it can be one side of a choice."""
    match spec:
        case OfTensor():
            return {torch.Tensor}
        case OfPython(kind):
            return {kind}
        case OfChoice(kinds):
            return kinds
        case Known(thing) if isinstance(thing, enum.Enum | torch.dtype | torch.device | str):
            return {type(thing)}
    return None


def _are_alike(left: OfContents, right: OfContents) -> bool:
    """Whether contents can be compared item by item: equal keys or length; of sets, whether they are equal."""
    if isinstance(left.like, set):
        return bool(left.like == right.like)
    return left.keys == right.keys and len(left.items) == len(right.items)


def is_equal(recorder: Recorder, left: Spec, right: Spec) -> bool:
    """Whether two specs say the same."""
    if isinstance(left, Known) and isinstance(right, Known):
        return is_same(recorder, left.thing, right.thing)
    if isinstance(left, OfContents) and isinstance(right, OfContents) and not _are_alike(left, right):
        return False
    if isinstance(left, OfMade) and isinstance(right, OfMade) and left.keys != right.keys:
        return False
    if isinstance(left, OfTuple | OfMade | OfContents) and type(left) is type(right):
        if len(left.items) != len(right.items):
            return False
        return all(is_equal(recorder, a, b) for a, b in zip(left.items, right.items, strict=True))
    return left == right


def join_tensor_types(left: TensorType, right: TensorType) -> TensorType:
    """The type of a tensor that may be either.

    Raises:
        CannotJoinError: they differ in more than the sizes.
    """
    if left.dtype != right.dtype or left.device != right.device or len(left.shape) != len(right.shape):
        raise CannotJoinError(left, right)
    requires_grad = left.requires_grad or right.requires_grad
    return TensorType(left.dtype, _join_shapes(left, right), left.device, requires_grad)


def join_array_types(left: ArrayType, right: ArrayType) -> ArrayType:
    """The type of an array that may be either.

    Raises:
        CannotJoinError: they differ in more than the sizes.
    """
    if left.kind is not right.kind or left.dtype != right.dtype or len(left.shape) != len(right.shape):
        raise CannotJoinError(left, right)
    return ArrayType(left.kind, left.dtype, _join_shapes(left, right))


def _join_shapes(left: TensorType | ArrayType, right: TensorType | ArrayType) -> tuple[int | None, ...]:
    return tuple(a if a == b else None for a, b in zip(left.shape, right.shape, strict=True))


def stand_in(recorder: Recorder, spec: Spec, values: list[Value]) -> Any:
    """A thing that a spec covers, with a new value for each of its parts; `values` gets those, in order."""
    match spec:
        case Known(thing) | OfGradient(thing):
            return thing
        case OfTensor(tensor_type, mark):
            made = _part(recorder, tensor_type, values)
            if mark is not None:
                setattr(made, mark, True)
            return made
        case OfArray(array, checked):
            values.append(recorder.fresh(array))
            return RunTimeArray(recorder, values[-1], checked)
        case OfPython(kind):
            return _part(recorder, PythonType(kind), values)
        case OfTuple(like, items):
            return rebuilt(like, [stand_in(recorder, item, values) for item in items])
        case OfList(site):
            values.append(recorder.fresh(PythonType(list)))
            return RunTimeList(recorder, values[-1], site)
        case OfTable(origin):
            values.append(recorder.fresh(PythonType(origin.kind)))
            return make_table(recorder, values[-1], origin)
        case OfTuples(item):
            values.append(recorder.fresh(PythonType(tuple)))
            return RunTimeTuple(recorder, values[-1], item)
        case OfChoice(kinds, site) if kinds == {str}:
            values.append(recorder.fresh(PythonType(str)))
            return RunTimeText(recorder, values[-1], site)
        case OfChoice(kinds, site):
            values.append(recorder.fresh(PythonType(object)))
            return RunTimeChoice(recorder, values[-1], kinds, site)
        case OfMade(like, keys, items):
            things = [stand_in(recorder, item, values) for item in items]
            made = recorder.lists.as_made(with_contents(like, keys, things), like)
            return recorder.merged.keep(made)
        case OfContents(_, like, keys, items):
            things = [stand_in(recorder, item, values) for item in items]
            if isinstance(like, dict):
                return dict(zip(keys, things, strict=True))
            return like if isinstance(like, set) else type(like)(things)


def _part(recorder: Recorder, value_type: ValueType, values: list[Value]) -> Any:
    values.append(recorder.fresh(value_type))
    return recorder.stand_in(values[-1])


def parts(spec: Spec, thing: Any, held: Held = NOTHING) -> list[Any]:
    """The parts of a thing that a spec says no more of than the type, in order; things hold what `held` says."""
    match spec:
        case Known() | OfGradient():
            return []
        case OfTuple(_, items):
            things = [UNSET] * len(items) if thing is UNSET else thing
            return [part for item, inner in zip(items, things, strict=True) for part in parts(item, inner, held)]
        case OfMade(_, _, items):
            things = [UNSET] * len(items) if thing is UNSET else list(contents(thing, held)[1])
            return [part for item, inner in zip(items, things, strict=True) for part in parts(item, inner, held)]
        case OfContents(_, like, keys, items):
            things = [thing[key] for key in keys] if isinstance(like, dict) else list(thing)
            return [part for item, inner in zip(items, things, strict=True) for part in parts(item, inner, held)]
    return [thing]


def part_tree(recorder: Recorder, part: Any) -> Tree:
    """A part in the program; one that is unset yields anything, for it is not read."""
    return None if part is UNSET else recorder.operand(part)

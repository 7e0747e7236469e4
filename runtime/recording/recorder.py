"""Records the public torch calls that a function makes on fake tensors as the ops of a program."""

from __future__ import annotations

import enum
import operator
import threading
import types
import warnings
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from d2s.runtime.errors import CaptureError, mark_as_users
from d2s.runtime.ir.modes import Modes, SavedHooks
from d2s.runtime.ir.names import is_in_place, original_of
from d2s.runtime.ir.program import (
    ORDERED,
    PURE,
    ArrayType,
    Block,
    Call,
    Effects,
    Input,
    Op,
    PythonType,
    Role,
    TensorType,
    Tree,
    Value,
    ValueType,
    leaves_of,
    map_tree,
    values_in,
)
from d2s.runtime.ir.sources import Argument, Constant, Setting, Source, read
from d2s.runtime.recording.arrays import MadeArrays, RunTimeArray, is_run_time_array
from d2s.runtime.recording.attempts import Handler, emit_attempt, failure_of, may_not_fit
from d2s.runtime.recording.branches import call_for_either
from d2s.runtime.recording.choices import is_run_time_choice
from d2s.runtime.recording.dynamic import NOTHING, Dynamic, is_part_of_arguments, location_of, with_parts
from d2s.runtime.recording.exceptions import UNSUPPORTED, not_recorded, without_data
from d2s.runtime.recording.facts import Facts
from d2s.runtime.recording.gradients import Gradients
from d2s.runtime.recording.inference import Inferred, Labels, SomeOf, UnknownLengthError, infer, true_error
from d2s.runtime.recording.lifting import Reachable, role_of
from d2s.runtime.recording.lists import is_run_time_list, is_run_time_sequence
from d2s.runtime.recording.locations import Site, user_location
from d2s.runtime.recording.merged import Merged
from d2s.runtime.recording.net import noticing
from d2s.runtime.recording.numbers import flag_in, is_run_time_number, make_number, number_kind, plain_number
from d2s.runtime.recording.places import AttributeLocation, Location
from d2s.runtime.recording.questions import QUESTIONS
from d2s.runtime.recording.reads import Reads
from d2s.runtime.recording.regions import RecordAgain, Region
from d2s.runtime.recording.sites import Sites
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.structures import maker_of, rebuilt
from d2s.runtime.recording.surroundings import patches_of_torch
from d2s.runtime.recording.table_sites import Tables
from d2s.runtime.recording.tables import is_run_time_table
from d2s.runtime.recording.tags import Tags
from d2s.runtime.recording.tails import Tails
from d2s.runtime.recording.texts import RunTimeText, is_run_time_text
from d2s.runtime.torch_internals.calls import is_profiling
from d2s.runtime.torch_internals.effects import EffectsWatch, storage_key
from d2s.runtime.torch_internals.fakes import (
    FAKE_ERRORS,
    FakeWorld,
    can_be_fake,
    fakes_list_as_tensors,
    forget_constant,
    is_fake,
    known_shape,
    symbolic_kind,
    without_logs_of_fakes,
)
from d2s.runtime.torch_internals.modes import (
    autocast_dtypes,
    modes,
    set_grad_enabled,
    watching_autocast,
    without_recording,
    without_saved_hooks,
)

# In place of a float that is known only at run time: a torch function's result has the same type for each, but for
# these functions. It is a probability, a quantile, a small number or a factor as well as another.
_EXAMPLE = 0.25
_SIZED_BY_FLOATS = frozenset({torch.arange, torch.range, functional.interpolate, functional.upsample})


# What a function of torch may answer besides tensors, as long as it is the same at every call of the signature.
_NUMBERS = (bool, int, float, complex)
_OF_TORCH = (torch.dtype, torch.device, torch.layout, torch.memory_format)
_PLAIN = (*_NUMBERS, str, type(None), type(NotImplemented), type, *_OF_TORCH)


class _Active(threading.local):
    recorder: Recorder | None = None
    suspended: bool = False
    at_work: bool = False

    def switch(self, recorder: Recorder | None, suspended: bool) -> None:
        self.recorder, self.suspended = recorder, suspended
        self.at_work = recorder is not None or suspended


# What a call of a static function asks first: `at_work` is whether user code runs for a recording in this thread.
# `suspended` is whether it runs on fake tensors just to see what it gives: all of it is then to run in eager.
recording = _Active()


def active_recorder() -> Recorder | None:
    """The recorder that is at work in this thread, or None."""
    return recording.recorder


# What is guarded by identity or value, so that the program may keep it.
_UNCHANGING = (*_NUMBERS, str, bytes, type(None), type, types.FunctionType, types.BuiltinFunctionType)


class CounterFound(RecordAgain):
    """A number of the user's that the call itself writes was taken for a constant."""


class _TakesArrayError(Exception):
    """A function of torch is given an array of the run: no fake stands for that."""


class SizesAssumed(RecordAgain):
    """Torch took unknown sizes to be equal in one call, and would in all others, though one of them may be 1."""


class Recorder(TorchFunctionMode):
    """One recording: the block being filled, and which value stands for which object.

    Real tensors that a call meets are faked once and become inputs. The fakes live as long as a run of the
    function, so that objects can be told apart by `id`.
    """

    def __init__(
        self,
        reachable: Reachable,
        convert: Callable[[Any], Any],
        rules: Mapping[Any, Any],
        dynamic: Dynamic = NOTHING,
    ) -> None:
        """`convert` rewrites a function; `rules` are for the calls that fakes can't answer, by function of torch.

        `dynamic` is what is not known of the arguments.
        """
        super().__init__()
        self.convert = convert
        # The form of a callable that records what it does; `convert` alone until the operators are at work.
        self.form_of = convert
        self.rules = rules
        self.reachable = reachable
        self.journal = reachable.journal
        self.region: Region | None = None
        self.block = Block()
        self.facts = Facts()
        self.handlers: list[Handler] = []  # those around this point
        self.filters = warnings.filters  # a manager puts others in their place
        self._has_effects = False  # whether something was done that a failing run can't take back
        self.left_contexts: set[ContextVar[Any]] = set()  # which were set, and not reset
        self.asked_for_grad: set[int] = set()
        self.asks_of: set[str] = set()
        # The names of places that only code which is not recorded may read and write.
        self.unwatched: set[str] = set()
        self.told_apart: set[type] = set()  # the classes of objects that were compared by `is`
        # By the function and the arguments: where the guards find what a cache of the user's remembers.
        self.cached_calls: dict[Any, Setting] = {}
        self.reads = Reads(reachable)
        self.outside = modes()
        self.next_number = 0
        self.inferring = False  # what torch calls meanwhile is no part of the program
        self.nested: Counter[Any] = Counter()  # how deep the recording is in the sides of the `if` of a place
        self._inputs: dict[Hashable, Input] = {}
        self.dynamic = dynamic
        self.patches = patches_of_torch()  # looked for once, for a recording has many runs
        self.counters: dict[Location, Source] = {}
        self._numbers: dict[Source, type] = {}
        self._lifted: list[Any] = []
        self.lists = Sites(self)
        self.tables = Tables(self)
        self.tails = Tails()
        self.arrays = MadeArrays(reachable)
        self.merged = Merged(reachable)
        self.no_choices: set[Site] = set()
        # By the number of the next value when a call took unknown sizes to be equal: which of its arguments' sizes.
        self._equal_sizes: dict[int, Labels] = {}
        self._forget_run()

    def _forget_run(self) -> None:
        self.run = object()  # stands for this run of the function
        self.world = FakeWorld()
        self.lists.forget_run()
        self.tails.forget_run()
        self.arrays.forget_run()
        self.merged.forget_run()
        # By the function: what the cache of one remembers that this run has made.
        self.cached_answers: dict[Any, dict[Any, Any]] = {}
        self.pending_error: BaseException | None = None
        self.runs_as_it_is = False  # whether code of the user's runs that the program will call as it is
        self._autocast = list(self.outside.autocast)
        self.saved_hooks: list[SavedHooks] = []
        self._watch = EffectsWatch()
        # Whether some tensor stands for the result of an `if` or loop, so that its strides are unknown; whether such
        # a one has a history of gradients, which its fake has not; whether it is unknown if it requires a gradient.
        self.uncertain_layout = False
        self.broken_history = False
        self.uncertain_gradients = False
        self.gradients = Gradients(self)
        self.tags = Tags()
        # Functions that were handed on, with a variable each that they share and what it held.
        self.handed_on: list[tuple[types.FunctionType, types.CellType, Any]] = []
        self._values: dict[int, tuple[Any, Value]] = {}
        self._fakes: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self._originals: dict[int, torch.Tensor] = {}

    @contextmanager
    def running(self) -> Iterator[None]:
        """One run of the function: everything that torch is asked inside becomes part of the current block."""
        self._forget_run()
        with ExitStack() as stack:
            stack.callback(recording.switch, recording.recorder, recording.suspended)
            recording.switch(self, False)
            stack.enter_context(without_logs_of_fakes())
            stack.enter_context(without_saved_hooks())
            stack.enter_context(fakes_list_as_tensors())
            stack.enter_context(self.world.mode)
            stack.enter_context(self._watch)
            stack.enter_context(self)
            stack.enter_context(self.reads.noting(self.is_at_work, lambda function: self.form_of(function)))
            stack.enter_context(watching_autocast(self._autocast.append, self._autocast.pop))
            stack.enter_context(noticing(self))
            self._install_counters()
            yield

    def modes(self) -> Modes:
        """The modes of torch at this point.

        Raises:
            CaptureError: autocast is not as it was entered, or the default dtype not as it was outside.
        """
        inference, dtype = torch.is_inference_mode_enabled(), torch.get_default_dtype()
        now = Modes(torch.is_grad_enabled(), inference, tuple(self._autocast), dtype, tuple(self.saved_hooks))
        if dtype is not self.outside.dtype:
            raise CaptureError(
                "D2S404", "the default dtype is switched", "switch it outside of the function", user_location()
            )
        if now.autocast_dtypes != autocast_dtypes():
            raise CaptureError("D2S404", "autocast is switched", "enter torch.autocast by a `with`", user_location())
        return now

    def close(self) -> None:
        """Let go of the user's objects: the parts of a recording know each other, and the collector comes late."""
        self.__dict__.clear()

    def is_at_work(self) -> bool:
        """Whether what runs now is recorded."""
        return active_recorder() is self

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """What runs inside is not recorded, though it runs on fakes."""
        before = recording.recorder, recording.suspended
        recording.switch(None, True)
        try:
            with without_recording():
                yield
        finally:
            recording.switch(*before)

    @contextmanager
    def same_modes(self) -> Iterator[None]:
        """Around a part that is recorded by itself: it must leave the modes as it finds them.

        Raises:
            CaptureError: it does not.
        """
        before = self.modes()
        try:
            yield
            if self.modes() != before:
                reason = "the grad mode is switched for what follows, on some path only or beyond the function"
                raise CaptureError("D2S404", reason, "switch it by `with torch.no_grad():`", user_location())
        finally:
            set_grad_enabled(before.grad)

    # -------------------------------------------------------------- values

    @property
    def inputs(self) -> list[Input]:
        """The inputs found so far."""
        return list(self._inputs.values())

    def rewind(self, number: int) -> None:
        """Give the numbers of values from this one on anew: what had them is recorded again."""
        self.next_number = number
        self.facts.forget_from(number)

    def fresh(self, value_type: ValueType) -> Value:
        """A value that no op defines yet."""
        value = Value(self.next_number, value_type)
        self.next_number += 1
        return value

    def emit(self, op: Op) -> None:
        """Add an op to the current block."""
        self.raise_pending()
        self.block.ops.append(op)

    def pending(self, error: BaseException) -> BaseException:
        """An error that is about to be raised where code in C may swallow it: then it is raised at the next op."""
        self.pending_error = error
        return error

    def raise_pending(self) -> None:
        """Raise what code in C has swallowed."""
        if self.pending_error is not None:
            raise self.pending_error

    def emit_call(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Tree = None,
        effects: Effects = PURE,
    ) -> None:
        """Add a call of objects that stand for values."""
        call = self._call(target, args, kwargs, result, effects)
        failure = failure_of(call, self.handlers)
        if failure is None and self._has_effects and may_not_fit(call, self.handlers):
            reason = f"{target.__name__} may fail for some sizes, and the code around it would see that"
            raise CaptureError("D2S105", reason, "give it tensors of known sizes", call.location)
        self._has_effects |= bool(effects.random or effects.ordered or effects.writes)
        if failure is None:
            self.emit(call)
        else:
            emit_attempt(self, call, failure)

    def _call(
        self,
        target: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Tree,
        effects: Effects,
    ) -> Call:
        operands, named = map_tree(self.operand, (args, kwargs))
        if self.saved_hooks:
            effects = replace(effects, ordered=True)  # it may call them
        return Call(target, operands, named, result, effects, self.modes(), user_location())

    def bind(self, stand_in: Any, value: Value) -> None:
        """From now on this object stands for `value`."""
        self._values[id(stand_in)] = (stand_in, value)

    def bound(self) -> list[torch.Tensor]:
        """The fake tensors that stand for values."""
        return [thing for thing, _ in self._values.values() if isinstance(thing, torch.Tensor)]

    def value_of(self, tensor: torch.Tensor) -> Value:
        """The value that a tensor stands for; a real one is lifted."""
        fake = self.fake(tensor)
        entry = self._values.get(id(fake))
        if entry is None:
            reason = "a tensor was made by a function of torch that can't be recorded"
            raise CaptureError("D2S405", reason, "call that function outside of the static function", user_location())
        return entry[1]

    def is_since(self, thing: Any, number: int) -> bool:
        """Whether a thing holds a value that has this number, or one that was given later."""
        for leaf in leaves_of(thing):
            entry = self._values.get(id(leaf)) if isinstance(leaf, torch.Tensor) else None
            value = entry[1] if entry is not None else getattr(leaf, "value", None) if is_staged(leaf) else None
            if isinstance(value, Value) and value.number >= number:
                return True
        return False

    def fake(self, tensor: torch.Tensor) -> torch.Tensor:
        """The fake of a tensor; a real one becomes an input of the program when it is first met."""
        if is_fake(tensor):
            return tensor
        entry = self._fakes.get(id(tensor))
        if entry is None:
            _refuse_without_fake(tensor)
            source = self.reachable.find(tensor)
            unknown = self.dynamic.dimensions.get(source, ()) if source is not None else ()
            fake = self.world.fake(tensor, unknown)
            entry = (tensor, fake)
            self._fakes[id(tensor)] = entry
            self.bind(fake, self.input_value(tensor, type_of(fake), source, role_of(tensor, source)))
            self._originals[id(fake)] = tensor
        return entry[1]

    def input_value(self, thing: Any, value_type: ValueType, source: Source | None, role: Role) -> Value:
        """The input for an object of the user's: the same on every run."""
        self._lifted.append(thing)
        return self._input(id(thing), value_type, source or Constant(thing, f"constant{len(self._inputs)}"), role)

    def object_value(self, thing: Any) -> Value | None:
        """The input for an object that can be reached from what the user gave; None for others, and for constants."""
        source = None if isinstance(thing, enum.Enum) else self.reachable.find(thing)
        return None if source is None else self.input_value(thing, PythonType(type(thing)), source, Role.ARGUMENT)

    def _input(self, key: Hashable, value_type: ValueType, source: Source, role: Role) -> Value:
        """The input of a key. Inputs have negative numbers, which are no op's."""
        if key not in self._inputs:
            self._inputs[key] = Input(Value(-1 - len(self._inputs), value_type), source, role)
        return self._inputs[key].value

    def note_counter(self, location: Location, before: Any, after: Any, source: Source) -> None:
        """A place of the user's was changed: if that is a number, it has to be an input of the program.

        Raises:
            CounterFound: it was not; record again.
        """
        if location not in self.counters and type(before) in (int, float, bool) and number_kind(after) is not None:
            self.counters[location] = source
            raise CounterFound

    def take_numbers(self, arguments: Mapping[str, Any]) -> None:
        """Have the numbers that are dynamic be inputs: among the arguments, and in places that can be written."""
        for source in self.dynamic.numbers:
            location = location_of(source, arguments)
            if isinstance(location, AttributeLocation) and location.is_of_descriptor():
                continue  # what the code there makes of a number is not known
            if location is not None:
                self.counters[location] = source
            elif is_part_of_arguments(source, arguments):
                self._numbers[source] = type(read(source, arguments))

    def arguments(self, arguments: Mapping[str, Any]) -> OrderedDict[str, Any]:
        """The arguments with numbers of this run in place of those that are inputs."""
        parts = {
            source: self.number(kind, self._input(source, PythonType(kind), source, Role.ARGUMENT))
            for source, kind in self._numbers.items()
        }
        return OrderedDict((name, with_parts(Argument(name), value, parts)) for name, value in arguments.items())

    def _install_counters(self) -> None:
        for location, source in self.counters.items():
            kind = type(location.read())
            value = self._input(location.key(), PythonType(kind), source, Role.COUNTER)
            self.journal.write(location, self.number(kind, value))

    def is_as_it_came(self, location: Location, held: Any) -> bool:
        """Whether a place holds the number that the program is given for it."""
        entry = self._inputs.get(location.key())
        return entry is not None and is_staged(held) and held.value is entry.value

    def operand(self, leaf: Any) -> Tree:
        """What an argument of a call is in the program."""
        if isinstance(leaf, torch.Tensor):
            return self.value_of(leaf)
        if is_staged(leaf):
            return leaf.value
        if isinstance(leaf, tuple):
            return self._tuple_operand(leaf)
        found = None if isinstance(leaf, _UNCHANGING) else self.object_value(leaf)
        return leaf if found is None else found

    def _tuple_operand(self, tuple_: Any) -> Tree:
        """A named tuple, a Size, or what torch returns in the manner of a tuple."""
        items = [map_tree(self.operand, item) for item in tuple_]
        if not values_in(items):
            return tuple_
        value = self.fresh(PythonType(type(tuple_)))
        self.emit_call(maker_of(type(tuple_)), (items,), {}, value)
        return value

    # -------------------------------------------------------------- numbers

    def number_call(
        self,
        target: Any,
        operands: tuple[Any, ...],
        kind: type,
        node: Any = None,
        kwargs: dict[str, Any] | None = None,
        effects: Effects = PURE,
    ) -> Any:
        """Record a call that gives a number, and make that number."""
        value = self.fresh(PythonType(kind))
        self.emit_call(target, operands, kwargs or {}, value, effects)
        return self.number(kind, value, node)

    def text_call(self, target: Any, operands: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> RunTimeText:
        """Record a call that gives a text, and make that text."""
        value = self.fresh(PythonType(str))
        self.emit_call(target, operands, kwargs or {}, value)
        staged = [leaf for leaf in leaves_of((operands, kwargs)) if is_staged(leaf)]
        sites = [leaf.site for leaf in staged if is_run_time_text(leaf) and leaf.site is not None]
        return RunTimeText(self, value, sites[0] if sites and len(sites) == len(staged) else None)

    def plain_call(
        self, target: Any, operands: tuple[Any, ...], kind: type, kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Record a call that gives a number or a text, as `kind` says."""
        if kind is str:
            return self.text_call(target, operands, kwargs)
        return self.number_call(target, operands, kind, kwargs=kwargs)

    def number(self, kind: type, value: Value, node: Any = None) -> Any:
        """The run-time number that stands for `value`."""
        return make_number(self, kind, node if node is not None else self.world.fresh_node(kind), value)

    def stand_in(self, value: Value) -> Any:
        """An object that stands for a value of which only the type is known."""
        if value.type == PythonType(str):
            return RunTimeText(self, value)
        if isinstance(value.type, ArrayType):
            return RunTimeArray(self, value)
        if isinstance(value.type, PythonType):
            return self.number(value.type.python_type, value)
        kind = value.type
        self.uncertain_layout = True
        fake = self.world.empty(kind.dtype, kind.shape, kind.device, kind.requires_grad)
        if kind.requires_grad:
            self.broken_history = True
            self.gradients.note_stand_in(fake)
        self.bind(fake, value)
        return fake

    def type_of(self, tensor: torch.Tensor) -> TensorType:
        """What is known about a tensor."""
        return type_of(self.fake(tensor))

    def is_leaf(self, tensor: torch.Tensor) -> bool:
        """Whether a tensor has no history, as far as the recording knows."""
        with without_recording():
            fake = self.fake(tensor)
            return fake.is_leaf or isinstance(fake, torch.nn.Parameter)

    def has_size(self, tensor: torch.Tensor, dimension: int, size: int) -> bool:
        """Whether a dimension has this size, decided now if it is unknown: what follows depends on it."""
        fake = self.fake(tensor)
        known = self.world.has_size(fake, dimension, size)
        if known is not None:
            return known
        found = self.decide(self.number_call(torch.Tensor.size, (tensor, dimension), int) == size)
        self.world.learn_size(fake, dimension, size, found)
        return found

    # -------------------------------------------------------------- truth

    def condition(self, thing: Any) -> tuple[Value, bool | None]:
        """The value of something of which the truth is asked, and its truth where that is known on this path."""
        if is_run_time_list(thing) or is_run_time_table(thing) or is_run_time_choice(thing):
            thing = self.number_call(bool, (thing,), bool)  # what it stands for may change
        if is_run_time_array(thing):
            known = None not in thing.type.shape
            thing = self.array_call(bool, (thing,), {}) if known else self.number_call(bool, (thing,), bool)
        if isinstance(thing, torch.Tensor):
            thing = self._of_one_element(thing)
        value = self.operand(thing)
        if isinstance(thing, torch.Tensor):
            self.facts.depends_on(value, storage_key(self.fake(thing)))
        return value, self.facts.truth(value)

    def _of_one_element(self, tensor: torch.Tensor) -> Any:
        """A tensor of which the truth is asked, or that truth where it raises unless the size turns out to be one.

        Raises:
            RuntimeError: it has none or several elements.
        """
        shape = self.type_of(tensor).shape
        if all(size == 1 for size in shape):
            return tensor
        if None in shape:
            return self.number_call(bool, (tensor,), bool)
        try:
            bool(torch.zeros(0 if 0 in shape else 2))
        except RuntimeError as error:
            raise self.error_of_users(error, bool, (tensor,), {}) from None
        raise AssertionError("the truth of several elements is no error")

    def decide(self, thing: Any) -> bool:
        """The truth of a run-time value, for this run: the recording forks."""
        assert self.region is not None
        value, known = self.condition(thing)
        if known is None:
            known = self.region.decide(value)
            self.facts.learn(value, known)
        return known

    def truth(self, thing: Any) -> Any:
        """`bool(thing)`."""
        known = self.condition(thing)[1]
        if known is not None:
            return known
        return thing if isinstance(thing, bool) else self.number_call(bool, (thing,), bool)

    def negation(self, thing: Any) -> Any:
        """`not thing`."""
        value, known = self.condition(thing)
        if known is not None:
            return not known
        result = self.number_call(operator.not_, (thing,), bool)
        self.facts.is_opposite(result.value, value)
        return result

    def once(self, what: str) -> None:
        """Go on only where what is recorded now runs once and on every path: for what the journal can't undo.

        Raises:
            Restart: we are in an `if`, which forks when the function is run again.
            CaptureError: we are in a loop.
        """
        assert self.region is not None
        self.region.fork_open()
        if self.region.around is not None:
            raise self.region.dissolved()
        if self.region.inner:
            reason = f"a loop on values of tensors {what}"
            raise CaptureError("D2S206", reason, "do it before the loop, or after", user_location())

    # -------------------------------------------------------------- calls

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        func, kwargs = original_of(func), kwargs or {}
        if is_profiling(func):
            return func(*args, **kwargs)
        if func is set_grad_enabled:
            return func(*map(bool, args))  # every call is recorded with the grad mode that it ran in
        if func in QUESTIONS:
            self.asks_of.add(QUESTIONS[func])
        rule = self.rules.get(func)
        if rule is not None:
            return rule(self, *args, **kwargs)
        return self.record(func, args, kwargs)

    def record(
        self,
        func: Callable[..., Any],
        args: Any,
        kwargs: dict[str, Any],
        inferred_from: tuple[Any, ...] | None = None,
        opaque: bool = False,
    ) -> Any:
        """Run a function of torch on fakes and record the call; its result as the user is to see it.

        Where the arguments can't be inferred from, `inferred_from` are others that give the same type. An `opaque`
        function is code of the user's, which may do anything.
        """
        if func in _SIZED_BY_FLOATS and any(map(_is_unknown_float, leaves_of((tuple(args), kwargs)))):
            reason = f"the size of the result of {func.__name__} depends on a number computed from a tensor"
            raise CaptureError("D2S104", reason, "give it a size that is known", user_location())
        try:
            fake_args, fake_kwargs = map_tree(self._for_inference, (tuple(inferred_from or args), kwargs))
        except _TakesArrayError:
            return self.array_call(func, tuple(args), kwargs)
        key, assumed = self.next_number, self.world.assumed
        self.inferring, self.runs_as_it_is = True, opaque
        failed: Exception | None = None
        try:
            inferred = infer(self.world, self._watch, func, fake_args, fake_kwargs, self._equal_sizes.get(key))
        except UnknownLengthError:
            lists = [leaf for leaf in leaves_of((tuple(args), kwargs)) if is_run_time_sequence(leaf)]
            raise lists[0].refusal(f"what {func.__name__} gives") from None
        except Exception as error:
            flag = None if inferred_from else flag_in((tuple(args), kwargs))
            if flag is not None and isinstance(error, (TypeError, *FAKE_ERRORS)):
                return call_for_either(flag, lambda *args, **kwargs: self.record(func, args, kwargs), args, kwargs)
            if isinstance(error, FAKE_ERRORS):
                raise without_data(error, f"{func.__name__}: ") from error
            true = None if opaque else true_error(func, fake_args, fake_kwargs, error)
            if true is None or (true is error and isinstance(error, UNSUPPORTED)):
                raise not_recorded(error) from error
            failed = self.error_of_users(true, func, tuple(args), kwargs)
        finally:
            self.inferring = self.runs_as_it_is = False
        if failed is not None:
            raise failed  # its context is what the user's code handles, and not the error of the fakes
        if self.world.assumed != assumed and key not in self._equal_sizes:
            self._equal_sizes[key] = [self.world.labels(tensor) for tensor in inferred.tensors]
            raise SizesAssumed
        if inferred.reshaped:
            self.once("changes the shape of a tensor in place")
        if inferred.regraded:
            self._note_regraded(func)
        for made, sources in inferred.descents:
            self.broken_history = True
            self.gradients.note_descent(made, sources)
        effects = self._effects(func, inferred, opaque)
        result, seen = self._result(inferred.answer)
        if result is not None or not effects.pure:
            self.emit_call(func, tuple(args), kwargs, result, effects)
        return seen

    def check_unwatched(self) -> None:
        """At the end: go on only if no code that was recorded can ask for what other code writes.

        Raises:
            CaptureError: it can.
        """
        known = sorted(self.unwatched & self.reachable.names)
        if known:
            reason = f"a checkpointed function writes {known[0]}, which other code names"
            raise CaptureError("D2S307", reason, "write it outside of the checkpointed function")

    def _note_regraded(self, func: Callable[..., Any]) -> None:
        """A call has changed in place whether a tensor requires a gradient: fakes can't take that back."""
        region = self.region
        assert region is not None
        if func in _REGRADING:
            region.fork_open()
            if region.around is not None:
                raise region.dissolved()
        if region.open or region.around is not None or region.inner:
            self.uncertain_gradients = True

    def error_of_users(
        self, error: Exception, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Exception:
        """What a call raises at each run. If it leaves the function, the program makes this very call."""
        mark_as_users(error, self._call(func, args, kwargs, None, ORDERED))
        error.__context__ = None
        return error

    def array_call(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        checked: bool = False,
        ordered: bool = False,
    ) -> Any:
        """Record a call of numpy's; see `record_array_call`."""
        from d2s.runtime.recording.array_calls import record_array_call  # d2s does without numpy where it isn't used

        return record_array_call(self, func, args, kwargs, checked, ordered)

    def _for_inference(self, leaf: Any) -> Any:
        if is_run_time_number(leaf):
            # Without our clothes: what torch computes from it to infer is no part of the program.
            return _EXAMPLE if leaf.kind is float else plain_number(leaf.node)
        if is_run_time_array(leaf):
            raise _TakesArrayError
        if is_run_time_text(leaf):
            raise leaf.needed()
        if is_run_time_sequence(leaf):
            return SomeOf(map_tree(self._for_inference, self.lists.example(leaf)))
        return self.fake(leaf) if isinstance(leaf, torch.Tensor) else leaf

    def _effects(self, func: Callable[..., Any], inferred: Inferred, opaque: bool) -> Effects:
        written = inferred.written
        if not written and is_in_place(func) and inferred.tensors:
            written = inferred.tensors[:1]  # such as requires_grad_: it changes no memory, and still the tensor
        if written and self.uncertain_layout:
            self.facts.forget_tensors()  # what comes out of an `if`, a loop or a list may be what is written here
        self.facts.forget_written(map(storage_key, written))
        return Effects(
            writes=tuple(dict.fromkeys(map(self.value_of, written))),
            aliases=tuple(dict.fromkeys(map(self.value_of, inferred.aliases))),
            random=inferred.drew,
            ordered=opaque or (inferred.answer is None and not written),
        )

    def _result(self, outcome: Any) -> tuple[Tree, Any]:
        """The result of a call in the program, a new value for each part that is new, and as the user sees it."""
        if isinstance(outcome, torch.Tensor):
            if id(outcome) in self._values:
                # The user's own tensor comes back, so that `is` holds.
                return None, self._originals.get(id(outcome), outcome)
            value = self.fresh(type_of(forget_constant(outcome)))
            self.bind(outcome, value)
            return value, outcome
        kind = symbolic_kind(outcome)
        if kind is not None:
            value = self.fresh(PythonType(kind))
            return value, self.number(kind, value, outcome.node)
        if isinstance(outcome, tuple | list):
            parts = [self._result(part) for part in outcome]
            result = tuple(part for part, _ in parts)
            return (result if any(part is not None for part in result) else None), rebuilt(
                outcome, [seen for _, seen in parts]
            )
        if not isinstance(outcome, _PLAIN):
            reason = f"a function of torch gives a {type(outcome).__name__}, which can't be part of a program"
            raise CaptureError("D2S405", reason, "call it outside of the static function", user_location())
        return None, outcome


# What does nothing else than to change whether a tensor requires a gradient.
_REGRADING = (torch.detach_, torch.Tensor.detach_, torch.Tensor.requires_grad_, torch.Tensor.requires_grad.__set__)


def _is_unknown_float(leaf: Any) -> bool:
    return is_run_time_number(leaf) and leaf.kind is float


def _refuse_without_fake(tensor: torch.Tensor) -> None:
    """Go on only if a fake can stand for a tensor.

    Raises:
        CaptureError: torch has none for its layout.
    """
    if not can_be_fake(tensor):
        remedy = "make an ordinary tensor of it before the call"
        kind = "quantized" if tensor.is_quantized else "nested" if tensor.is_nested else str(tensor.layout)
        raise CaptureError(
            "D2S310", f"a {kind} tensor is read, of which torch can't tell what an operator gives", remedy
        )


def type_of(tensor: torch.Tensor) -> TensorType:
    """The type of the value that a fake tensor stands for."""
    with without_recording():
        return TensorType(tensor.dtype, known_shape(tensor), tensor.device, tensor.requires_grad)

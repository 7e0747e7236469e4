"""Static functions: a function that is captured once a signature and runs as a program from then on."""

from __future__ import annotations

import copy
import functools
import sys
import types
import warnings
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from d2s.conversion import conversion_of
from d2s.errors import ConversionError, FallbackWarning
from d2s.events import tell
from d2s.fallback import run_in_eager, was_told
from d2s.programs import DEFAULT, Options, Programs
from d2s.runtime.backend.execution import Executable, takes_positions
from d2s.runtime.operators.calls import converted
from d2s.runtime.operators.opaque import is_kept_dynamic
from d2s.runtime.recording.locations import is_left_alone
from d2s.runtime.recording.recorder import active_recorder, recording
from d2s.runtime.torch_internals.modes import is_transforming
from d2s.switches import Switch

# What a static function has itself.
_OWN = frozenset(
    "function options place _code _defaults _kwdefaults".split()
    + "_programs _takes_positions _count _kept_dynamic _warned".split()
)

# What every function has, also in its static form.
_OF_FUNCTIONS = frozenset("__code__ __defaults__ __kwdefaults__ __closure__ __globals__".split())


class StaticFunction:
    """A function in its static form. Called like the function; captures on the first call of each signature.

    The attributes that users give it are those of the function.
    """

    def __init__(self, function: Any, options: Options = DEFAULT):
        functools.update_wrapper(self, function, updated=())
        self.__name__: str = function.__name__
        self.__qualname__: str = function.__qualname__
        self.function = function
        self.options = options
        # The class or module of which it took the place of a method, and that method's name there.
        self.place: tuple[Any, str] | None = None
        self._begin()
        self._kept_dynamic = is_kept_dynamic(function)
        self._warned: set[tuple[str, int]] = set()

    def _begin(self) -> None:
        """Begin without programs: now, and when the function gets other code or other defaults."""
        function = self.function
        self._code, self._defaults = function.__code__, function.__defaults__
        self._kwdefaults = dict(function.__kwdefaults__ or {})
        self._programs = Programs(function, self.options)
        self._takes_positions = takes_positions(self._programs.signature)
        self._count = len(self._programs.parameters)

    # -------------------------------------------------------------- calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(args, kwargs)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What `self(*args, **kwargs)` does; every step here is paid at each call."""
        if recording.at_work or self._kept_dynamic or not Switch.enabled or is_transforming():
            return self._call_as_it_is(args, kwargs)
        if self.function.__code__ is not self._code:
            self._begin()
        arguments = args
        if kwargs or len(args) != self._count or not self._takes_positions:
            if not self._has_its_defaults():
                self._begin()
            arguments = tuple(self._programs.bind(args, kwargs).arguments.values())
        for executable in self._programs.executables:
            inputs = executable.inputs_for(*arguments)
            if inputs is not None:
                return executable.run(inputs, arguments)
        return self._call_for_the_first_time(args, kwargs)

    def _has_its_defaults(self) -> bool:
        now, known = self.function.__kwdefaults__ or {}, self._kwdefaults
        is_same = self.function.__defaults__ is self._defaults and now.keys() == known.keys()
        return is_same and all(now[name] is known[name] for name in known)

    def _call_as_it_is(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Within a recording the function becomes part of that; else it is called as if it were not static.

        So it is where torch transforms or traces what is called: there, tensors aren't those that programs are for.
        """
        recorder = active_recorder()
        function = self.function if recorder is None else converted(recorder, self.function)
        return function(*args, **kwargs)

    def _call_for_the_first_time(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        bound = self._programs.bind(args, kwargs)
        refusal: ConversionError | None = None
        try:
            executable, inputs = self._programs.capture_unless_refused(bound)
        except ConversionError as error:
            if self.options.full_graph:
                raise
            refusal = error
        if refusal is None:
            return executable.run(inputs, tuple(bound.arguments.values()))
        # No longer in the handler: what the user's code raises has nothing to do with the refusal.
        tell(self.function, refusal)
        refusal.__cause__ = refusal.__context__ = refusal.__traceback__ = None  # they know its arguments
        if not was_told(refusal):
            self._warn(refusal)
        return run_in_eager(self.function, refusal, StaticFunction, args, kwargs)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else BoundStaticFunction(self, instance)

    def _warn(self, error: ConversionError) -> None:
        """One warning for each place that calls."""
        depth, frame = 2, sys._getframe(1)
        while is_left_alone(frame.f_code) and frame.f_back is not None:
            depth, frame = depth + 1, frame.f_back
        site = frame.f_code.co_filename, frame.f_lineno
        if site not in self._warned:
            self._warned.add(site)
            warnings.warn(f"{error}. It runs in eager", FallbackWarning, stacklevel=depth)

    def __repr__(self) -> str:
        return f"<static {self.function.__qualname__}, {len(self.programs)} programs>"

    # -------------------------------------------------------------- inspection

    @property
    def __d2s_original__(self) -> Any:
        """What a recording converts when it meets this object."""
        return self.function

    @property
    def programs(self) -> list[Executable]:
        """The programs captured so far, one a signature."""
        return list(self._programs.executables)

    @property
    def code(self) -> str:
        """The rewritten function, before recording, as Python source."""
        return conversion_of(self.function).source

    def concrete_program(self, *args: Any, **kwargs: Any) -> Executable:
        """The program for these arguments, captured if need be, without running it.

        Arguments that an `input_spec` specifies may be left out; those after them are then given by name.

        Raises:
            ConversionError: it can't be captured.
        """
        programs = self._programs
        bound = programs.bind_with_examples(args, kwargs)
        return programs.find(tuple(bound.arguments.values())) or programs.capture(bound)[0]

    def misses(self, *args: Any, **kwargs: Any) -> list[str]:
        """Why each program so far is not for these arguments, in words; empty if one of them is."""
        arguments = tuple(self._programs.bind(args, kwargs).arguments.values())
        found = [executable.failing(arguments) for executable in self._programs.executables]
        return [] if None in found else [words for words in found if words is not None]

    def rollback(self) -> Callable[..., Any]:
        """The original function. The class or module whose method was made static has its own back."""
        if self.place is not None:
            _put_back(*self.place, self, self.function)
        return self.function

    # -------------------------------------------------------------- attributes

    def __getattr__(self, name: str) -> Any:
        if _is_own(name):
            raise AttributeError(name)
        return getattr(self.function, name)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self if _is_own(name) else self.function, name, value)

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self if _is_own(name) else self.function, name)

    # -------------------------------------------------------------- copies

    def __deepcopy__(self, memo: dict[int, Any]) -> StaticFunction:
        return self  # as functions are

    def __reduce__(self) -> Any:
        home = sys.modules.get(self.__module__)
        try:
            is_named = attrgetter(self.__qualname__)(home) is self
        except AttributeError:
            is_named = False
        return self.__qualname__ if is_named else (StaticFunction, (self.function, self.options))


def _is_own(name: str) -> bool:
    """Whether a static function has an attribute of this name for itself."""
    return name in _OWN or (name.startswith("__") and name not in _OF_FUNCTIONS)


class BoundStaticFunction:
    """A static function as a method of an object."""

    def __init__(self, static: StaticFunction, instance: Any):
        functools.update_wrapper(self, static.function)
        self._held = static
        self.__self__ = instance

    @property
    def _static(self) -> StaticFunction:
        return self._held

    @property
    def __func__(self) -> StaticFunction:
        return self._static

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._static.call((self.__self__, *args), kwargs)

    @property
    def __d2s_original__(self) -> Any:
        """What a recording converts when it meets this object."""
        return types.MethodType(self._static.function, self.__self__)

    @property
    def programs(self) -> list[Executable]:
        """The programs captured so far, one a signature."""
        return self._static.programs

    @property
    def code(self) -> str:
        """The rewritten method, before recording, as Python source."""
        return self._static.code

    def concrete_program(self, *args: Any, **kwargs: Any) -> Executable:
        """The program for these arguments, captured if need be, without running it."""
        return self._static.concrete_program(self.__self__, *args, **kwargs)

    def misses(self, *args: Any, **kwargs: Any) -> list[str]:
        """Why each program so far is not for these arguments, in words; empty if one of them is."""
        return self._static.misses(self.__self__, *args, **kwargs)

    def rollback(self) -> Any:
        """The original method. A module whose `forward` was made static has its own back."""
        original = types.MethodType(self._static.function, self.__self__)
        if hasattr(self.__self__, "__dict__"):
            _put_back(self.__self__, self._static.__name__, self, original)
        return original

    def __repr__(self) -> str:
        return f"<bound {self._static!r} of {type(self.__self__).__qualname__}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BoundStaticFunction):
            return NotImplemented
        return self._static is other._static and self.__self__ is other.__self__

    def __hash__(self) -> int:
        return hash((BoundStaticFunction, id(self.__self__)))

    # -------------------------------------------------------------- copies

    def __deepcopy__(self, memo: dict[int, Any]) -> BoundStaticFunction:
        """Bound to a copy of the object, with programs of its own."""
        static = StaticFunction(self._static.function, self._static.options)
        return type(self)(static, copy.deepcopy(self.__self__, memo))

    def __getstate__(self) -> tuple[StaticFunction, Any]:
        return self._static, self.__self__

    def __setstate__(self, state: tuple[StaticFunction, Any]) -> None:
        self.__init__(*state)  # type: ignore[misc]


class StaticForward(BoundStaticFunction):
    """The static `forward` of one module: it stays that of the module's class, also when that gets another."""

    @property
    def _static(self) -> StaticFunction:
        function = type(self.__self__).forward
        if function is not self._held.function and function is not self._held:
            is_static = isinstance(function, StaticFunction)
            self._held = function if is_static else StaticFunction(function, self._held.options)
        return self._held


class StaticObject(BoundStaticFunction):
    """A callable object whose `__call__` is static; its other attributes are the object's."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.__self__, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_held" or name.startswith("__"):
            object.__setattr__(self, name, value)
        else:
            setattr(self.__self__, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__self__, name)

    def rollback(self) -> Any:
        """The original object."""
        return self.__self__

    @property
    def __d2s_original__(self) -> Any:
        """What a recording converts when it meets this object."""
        return self.__self__


class StaticPartial(functools.partial[Any]):
    """A partial of a static function; what is asked of the function is answered for these arguments too."""

    func: StaticFunction | BoundStaticFunction

    @property
    def __d2s_original__(self) -> Any:
        """What a recording converts when it meets this object."""
        return functools.partial(self.func.__d2s_original__, *self.args, **self.keywords)

    @property
    def programs(self) -> list[Executable]:
        """The programs captured so far, one a signature."""
        return self.func.programs

    @property
    def code(self) -> str:
        """The rewritten function, before recording, as Python source."""
        return self.func.code

    def concrete_program(self, *args: Any, **kwargs: Any) -> Executable:
        """The program for these arguments, captured if need be, without running it."""
        return self.func.concrete_program(*self.args, *args, **{**self.keywords, **kwargs})

    def misses(self, *args: Any, **kwargs: Any) -> list[str]:
        """Why each program so far is not for these arguments, in words; empty if one of them is."""
        return self.func.misses(*self.args, *args, **{**self.keywords, **kwargs})

    def rollback(self) -> functools.partial[Any]:
        """A partial of the original function."""
        return functools.partial(self.func.rollback(), *self.args, **self.keywords)


def _put_back(owner: Any, name: str, static: Any, original: Any) -> None:
    """Give a class or an object its own attribute back, if the static one took its place there."""
    if vars(owner).get(name) is not static:
        return
    delattr(owner, name)
    if getattr(owner, name, None) != original:
        setattr(owner, name, original)

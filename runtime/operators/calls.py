"""The operator for calls: while recording, the converted form of what is called takes its place."""

from __future__ import annotations

import functools
import logging
import operator
import threading
import types
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from d2s.runtime.errors import CannotConvertError, CaptureError
from d2s.runtime.ir.sources import Constant, Derived, Global, class_entry, original_of, read
from d2s.runtime.operators.arrays import is_numpys, of_numpy
from d2s.runtime.operators.attributes import of_getter
from d2s.runtime.operators.builtins import REPLACEMENTS
from d2s.runtime.operators.caches import (
    CACHED,
    of_cache_method,
    of_cached,
    of_cached_in_run,
    recording_cached_properties,
)
from d2s.runtime.operators.callbacks import is_unwritten, taking_callbacks, watched
from d2s.runtime.operators.context import of_context
from d2s.runtime.operators.effects import of_effect
from d2s.runtime.operators.folds import list_
from d2s.runtime.operators.methods import converting_classes
from d2s.runtime.operators.modules import converting_lookups
from d2s.runtime.operators.opaque import is_kept_dynamic, recorded_as_it_is
from d2s.runtime.operators.refusals import SCRIPTED, refuse_coroutine, refuse_module, refuse_unwatched
from d2s.runtime.operators.tensor_classes import refusing_their_names
from d2s.runtime.operators.texts import format_text, members
from d2s.runtime.operators.unseen import C_FUNCTIONS, knowing_texts, of_c, of_python, writes_down
from d2s.runtime.operators.writes import note_contents
from d2s.runtime.recording.closures import note_stores
from d2s.runtime.recording.lifting import is_of_python
from d2s.runtime.recording.locations import (
    is_left_alone,
    is_of_ops,
    is_rewritten,
    is_users_function,
    package_of,
    user_location,
)
from d2s.runtime.recording.net import is_of_unknown
from d2s.runtime.recording.outside import EFFECTS, LOGGING, OF_THREADS, is_outside
from d2s.runtime.recording.places import CellLocation
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_staged
from d2s.runtime.recording.surroundings import asking, is_asking
from d2s.runtime.recording.texts import TEXT_METHODS
from d2s.runtime.torch_internals.calls import GLOBAL_HOOK_TABLES, replaced

# The hooks of all modules: torch keeps them in globals of its own.
_OF_ALL_MODULES = vars(torch.nn.modules.module)
GLOBAL_HOOKS = [Global(_OF_ALL_MODULES, name) for name in GLOBAL_HOOK_TABLES]


class _Eager(threading.local):
    form_of: Callable[[Any], Any] | None = None


_eager = _Eager()


@contextmanager
def in_eager(form_of: Callable[[Any], Any]) -> Iterator[None]:
    """While code whose calls are rewritten runs in eager: `form_of` gives what to call in place of a callable."""
    before, _eager.form_of = _eager.form_of, form_of
    try:
        yield
    finally:
        _eager.form_of = before


def call(function: Any) -> Any:
    """What to call in place of `function`: itself, unless a recording is going on or a function has fallen back."""
    recorder = active_recorder()
    if recorder is not None:
        form = converted(recorder, function)
        if form is function and _is_librarys(form):
            form = knowing_texts(form)
        is_left = is_unwritten(function) and function not in REPLACEMENTS
        return taking_callbacks(recorder, function, form) if is_left else form
    return function if _eager.form_of is None else _eager.form_of(function)


def _is_librarys(function: Any) -> bool:
    """Whether this is a function of a library that isn't ours or torch's."""
    return isinstance(function, types.FunctionType) and package_of(function) not in ("torch", "d2s")


def converted(recorder: Recorder, function: Any) -> Any:
    """The form of a callable that records what it does."""
    function = original_of(function)
    form = _converted(recorder, function)
    return recorded_as_it_is(recorder, function, form) if is_kept_dynamic(function) else form


def _converted(recorder: Recorder, function: Any) -> Any:
    if isinstance(function, SCRIPTED):
        refuse_module(function)
    if type(function) is operator.attrgetter:
        return of_getter(function)
    if is_of_python(type(function)) and not isinstance(function, type | torch.nn.Module):
        return _of_users_object(recorder, function)
    if is_asking(function):
        return asking(recorder.reachable, function)
    if is_numpys(function):
        known = _left(function, of_c) if isinstance(function, C_FUNCTIONS) else function
        return REPLACEMENTS.get(function) or of_numpy(recorder, function, known)
    if isinstance(function, C_FUNCTIONS):
        owner = getattr(function, "__self__", None)
        if isinstance(owner, str) and function.__name__ in TEXT_METHODS:
            return _of_text(recorder, function)
        unbound = getattr(type(owner), function.__name__, None) if isinstance(owner, list | tuple) else None
        if unbound in REPLACEMENTS:
            return functools.partial(REPLACEMENTS[unbound], owner)
        if isinstance(owner, CACHED):
            return of_cache_method(recorder, function)
        if isinstance(owner, ContextVar):
            return of_context(recorder, function)
        if isinstance(owner, type) and function == type.__call__.__get__(owner):
            return _made_by_parts(recorder, owner)  # what a metaclass hands on
        if function in EFFECTS:
            return of_effect(recorder, function)
        if is_of_unknown(recorder, function):
            reason = f"{function.__name__}() of a {type(owner).__name__} may change what d2s can't look into"
            return _refused(CaptureError("D2S310", reason, "call it before, and hand in the answer"))
        return REPLACEMENTS.get(function) or _left(function, of_c)
    if isinstance(function, type):
        return REPLACEMENTS.get(function) or _constructor(recorder, function)
    if isinstance(function, types.FunctionType):
        return _converted_function(recorder, function)
    if isinstance(function, types.MethodType):
        if function in REPLACEMENTS:  # such as `random.random`
            return REPLACEMENTS[function]
        if isinstance(function.__self__, logging.Logger) and function.__name__ in LOGGING:
            return of_effect(recorder, function)
        if isinstance(function.__self__, ExitStack):
            return functools.partial(_keeping_converted, recorder, function)
        inner = converted(recorder, function.__func__)
        is_same = inner is function.__func__
        return _left(function, of_python) if is_same else types.MethodType(inner, function.__self__)
    if isinstance(function, functools.partial):
        return functools.partial(converted(recorder, function.func), *function.args, **function.keywords)
    if isinstance(function, CACHED):
        return _of_cached(recorder, function)
    if isinstance(function, torch.nn.Module):
        return function  # its `forward` is converted when it is called, wherever that is: see `converting_modules`
    return _left(function)


def _of_users_object(recorder: Recorder, thing: Any) -> Any:
    """The form of an object that can be called: nothing is asked of it, for its `__getattr__` may do anything."""
    method = class_entry(type(thing), "__call__", None)
    if is_users_function(method):
        return types.MethodType(converted(recorder, method), thing)
    is_recorded = isinstance(method, types.FunctionType) and is_of_ops(method.__code__)
    return thing if is_recorded else _left(thing, functools.partial(watched, recorder))


def _left(function: Any, form: Callable[[Any], Any] = lambda function: function) -> Any:
    """The form of a function that is not rewritten, `form` of it unless it can't be part of a program."""
    if not is_outside(function) and not isinstance(getattr(function, "__self__", None), OF_THREADS):
        return form(function)
    reason = f"{function.__name__}() asks for, or changes, what is outside of the program"
    return _refused(CaptureError("D2S308", reason, "call it before the static function or after"))


def _refused(error: CaptureError) -> Callable[..., Any]:
    """What stands for a function that can't be part of a program."""

    def refused(*args: Any, **kwargs: Any) -> Any:
        raise error

    return refused


def _keeping_converted(recorder: Recorder, method: types.MethodType, /, *args: Any, **kwargs: Any) -> Any:
    """A method of an `ExitStack`, which keeps functions and will call them."""
    note_contents(method.__self__._exit_callbacks)  # type: ignore[attr-defined]
    return method(*(converted(recorder, arg) if _is_kept_to_call(arg) else arg for arg in args), **kwargs)


def _is_kept_to_call(arg: Any) -> bool:
    """Whether a stack keeps an argument to call it: of a manager it calls a method."""
    return callable(arg) and class_entry(type(arg), "__exit__", None) is None


def _of_cached(recorder: Recorder, function: Any) -> Any:
    """A function with a cache of `functools`: what converted code has defined, this run has made."""
    inner = function.__wrapped__
    is_known = recorder.reachable.find(function) is not None or not is_users_function(inner)
    if is_known or converted(recorder, inner) is not inner:
        return of_cached(recorder, function)
    return of_cached_in_run(recorder, function, inner)


def _of_text(recorder: Recorder, method: Any) -> Callable[..., Any]:
    """A method of a text that Python knows."""
    text, kind = method.__self__, TEXT_METHODS[method.__name__]

    def made(*args: Any, **kwargs: Any) -> Any:
        if method.__name__ == "format":
            return format_text(text, *args, **kwargs)
        if method.__name__ == "join":
            args = tuple(map(list_, args))
        if not any(map(is_staged, members([args, kwargs]))):
            return method(*args, **kwargs)
        return recorder.plain_call(getattr(str, method.__name__), (text, *args), kind, kwargs)

    return made


def _converted_function(recorder: Recorder, function: types.FunctionType) -> Any:
    if function in REPLACEMENTS:
        return REPLACEMENTS[function]
    if function in EFFECTS:
        return of_effect(recorder, function)
    if is_left_alone(function.__code__):
        return _left(_around_converted(recorder, function))
    refuse_coroutine(function)
    form = _rewritten(recorder, function)
    if form is function:
        recorder.reachable.add_globals(function)  # its other variables may be of this run
        refuse_unwatched(function)
        form = function if is_rewritten(function.__code__) else watched(recorder, function)
    else:
        recorder.reachable.add_function(function)
    note_stores(recorder, function)
    return form


def _rewritten(recorder: Recorder, function: types.FunctionType) -> Any:
    """The rewritten form of a function; itself if it was made by rewritten code, or has no source."""
    try:
        return recorder.convert(function)
    except CannotConvertError:
        return function  # recorded as it is


def _around_converted(recorder: Recorder, wrapper: types.FunctionType) -> types.FunctionType:
    """What a decorator of a library made, such as that of `torch.no_grad()`, around the converted function."""
    inner = getattr(wrapper, "__wrapped__", None)
    cells = wrapper.__closure__ or ()
    if not is_users_function(inner) or not any(_holds(cell, inner) for cell in cells):
        return wrapper
    new = types.CellType(converted(recorder, inner))
    closure = tuple(new if _holds(cell, inner) else cell for cell in cells)
    made = types.FunctionType(wrapper.__code__, wrapper.__globals__, wrapper.__name__, wrapper.__defaults__, closure)
    made.__kwdefaults__ = wrapper.__kwdefaults__
    functools.update_wrapper(made, wrapper)
    return made


def _holds(cell: types.CellType, function: types.FunctionType) -> bool:
    return CellLocation(cell).read() is function


def _constructor(recorder: Recorder, cls: Any) -> Callable[..., Any]:
    """A class whose `__init__` is converted."""
    if writes_down(cls):
        return knowing_texts(cls)
    recorder.reachable.add_class(cls)
    method = type(cls).__call__
    if is_users_function(method):
        return types.MethodType(converted(recorder, method), cls)
    return _made_by_parts(recorder, cls) if method is type.__call__ else cls


def _made_by_parts(recorder: Recorder, cls: Any) -> Callable[..., Any]:
    """A class whose `__new__` and `__init__` are converted."""
    if is_users_function(getattr(cls, "__del__", None)):
        reason = f"a {cls.__name__} is made, whose `__del__` runs whenever Python drops it"
        raise CaptureError("D2S307", reason, "make it before the static function", user_location())
    new, init = cls.__new__, cls.__init__
    new_form, init_form = _looked_up(recorder, cls, "__new__"), _looked_up(recorder, cls, "__init__")
    if new_form is new and init_form is init:
        return cls

    def construct(*args: Any, **kwargs: Any) -> Any:
        made = cls.__new__(cls) if new is object.__new__ else new_form(cls, *args, **kwargs)
        if isinstance(made, cls):
            init_form(made, *args, **kwargs)
        return made

    return construct


def _looked_up(recorder: Recorder, cls: type, name: str) -> Any:
    """The converted form of a method that Python looks up in a class by itself."""
    method = getattr(cls, name)
    if not is_users_function(method):
        return method
    recorder.reachable.add_special_method(cls, name, method)
    return converted(recorder, method)


def calling(cls: type[torch.nn.Module]) -> Any:
    """What runs when a module of a class is called."""
    return cls.__call__


@contextmanager
def converting_modules(recorder: Recorder) -> Iterator[None]:
    """While a recording goes on, every call of a module runs its converted `forward`, also calls that torch makes."""
    recorder.form_of = functools.partial(converted, recorder)
    original: Any = torch.nn.Module.__call__
    form = converted(recorder, original) if is_users_function(original) else original
    kept: list[torch.nn.Module] = []  # those that are being recorded aside

    def recording_call(module: Any, *args: Any, **kwargs: Any) -> Any:
        if active_recorder() is not recorder:
            return original(module, *args, **kwargs)
        refuse_module(module)
        if is_kept_dynamic(module) and module not in kept:
            kept.append(module)
            try:
                return recorded_as_it_is(recorder, module, module)(*args, **kwargs)
            finally:
                kept.pop()
        kind = Constant(type(module), type(module).__qualname__)
        recorder.reachable.add_root(Derived(kind, calling), original)
        for source in GLOBAL_HOOKS:
            recorder.reachable.add_root(source, read(source, {}))
        with _converted_parts(recorder, module):
            return form(module, *args, **kwargs)

    with (
        replaced(torch.nn.Module, "__call__", recording_call),
        recording_cached_properties(recorder, converted),
        converting_classes(recorder, converted),
        converting_lookups(recorder, converted),
        refusing_their_names(recorder),
    ):
        yield


# Where a module keeps the hooks that its call calls.
_HOOKS_OF_CALLS = ("_forward_pre_hooks", "_forward_hooks")
_OF_ALL_CALLS = ("_global_forward_pre_hooks", "_global_forward_hooks")


@contextmanager
def _converted_parts(recorder: Recorder, module: torch.nn.Module) -> Iterator[None]:
    """Meanwhile a module has converted forms as its `forward` and its hooks: torch's own code calls them.

    So have the hooks of all modules.
    """
    forward = module.forward
    form = converted(recorder, forward)
    forms = {} if form is forward else {"forward": form}  # torch's own is found as it is
    with (
        _with_entries(vars(module), forms | _converted_hooks(recorder, vars(module), _HOOKS_OF_CALLS)),
        _with_entries(_OF_ALL_MODULES, _converted_hooks(recorder, _OF_ALL_MODULES, _OF_ALL_CALLS)),
    ):
        yield


def _converted_hooks(recorder: Recorder, owner: dict[str, Any], tables: Iterable[str]) -> dict[str, Any]:
    """The tables of hooks that are not empty, with converted ones in them."""
    return {
        table: OrderedDict((key, converted(recorder, hook)) for key, hook in owner[table].items())
        for table in tables
        if owner[table]
    }


@contextmanager
def _with_entries(owner: dict[str, Any], entries: dict[str, Any]) -> Iterator[None]:
    """Meanwhile a dict has these entries."""
    before = {name: owner.get(name) for name in entries}
    owner.update(entries)
    try:
        yield
    finally:
        for name, thing in before.items():
            if thing is None:
                owner.pop(name, None)
            else:
                owner[name] = thing

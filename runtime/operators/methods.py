"""What Python calls of the user's classes by itself: special methods, properties and descriptors, in converted form.

No call of these is written in the code that uses them, so that a pass can't rewrite it. While a recording goes on,
the classes that it can reach hold their converted forms.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from d2s.runtime.ir.sources import ClassEntry, class_entry
from d2s.runtime.operators.staging import recorder_for
from d2s.runtime.recording.locations import is_users_function
from d2s.runtime.recording.recorder import Recorder, active_recorder
from d2s.runtime.recording.staged import is_unanswered
from d2s.runtime.recording.structures import can_change
from d2s.runtime.torch_internals.calls import replaced

# Those that make a class or an object, or end one; `__init__` is converted where the class is called. All that a
# recording itself asks of an object goes through `__getattribute__`.
_LEFT = frozenset("__new__ __init__ __del__ __getattribute__".split())
# Those of a class itself.
_OF_CLASSES = ("__init_subclass__", "__class_getitem__")
# What these answer must be of Python's own type: what only the run knows is decided by one path for each answer.
_ANSWERS: dict[str, Callable[[Any], Any]] = dict.fromkeys(
    ("__bool__", "__contains__", "__instancecheck__", "__subclasscheck__"), bool
)

# What these answer, Python takes only of its own types.
_STRICT = frozenset("__int__ __float__ __complex__ __index__ __len__ __str__ __repr__ __format__ __hash__".split())

Converted = Callable[[Recorder, Any], Any]


@contextmanager
def converting_classes(recorder: Recorder, converted: Converted) -> Iterator[None]:
    """While a recording goes on, the classes that it can reach hold converted forms of the user's methods.

    So do the modules of torch of what somebody has put into them.
    """
    with ExitStack() as stack:
        convert = functools.partial(_convert_class, recorder, converted, stack, set())
        convert(torch.Tensor)
        for module, name, function in recorder.patches:
            stack.enter_context(replaced(module, name, _recorded(recorder, converted, function)))
        with recorder.reachable.telling_of_classes(convert):
            yield


def _convert_class(recorder: Recorder, converted: Converted, stack: ExitStack, done: set[type], cls: type) -> None:
    for base in cls.__mro__:
        if base in done or not can_change(base):
            continue
        done.add(base)
        for name, item in list(vars(base).items()):
            form = None if _is_hidden(base, name) else _form(recorder, converted, base, name)
            if form is not None:
                stack.enter_context(replaced(base, name, form))
            elif hasattr(item, "__get__"):
                _convert_class(recorder, converted, stack, done, type(item))


def _is_hidden(cls: type, name: str) -> bool:
    """Whether a property of the metaclass stands before an entry of a class, so that no other can be put there."""
    return hasattr(type(class_entry(type(cls), name, None)), "__set__")


def _form(recorder: Recorder, converted: Converted, cls: type, name: str) -> Any:
    """What takes the place of an entry of a class, or None."""
    item = vars(cls)[name]
    if type(item) is property:
        parts: list[Any] = [item.fget, item.fset, item.fdel]
        if not any(map(is_users_function, parts)):
            return None
        return property(
            *(_recorded(recorder, converted, part) if is_users_function(part) else part for part in parts)
        )
    if type(item) is classmethod and name in _OF_CLASSES and is_users_function(item.__func__):
        return classmethod(_recorded(recorder, converted, item.__func__, ClassEntry(cls, name)))
    if not is_users_function(item) or not _is_called_by_python(cls, name) or name in _LEFT:
        return None
    return _recorded(recorder, converted, item, ClassEntry(cls, name))


def _is_called_by_python(cls: type, name: str) -> bool:
    """Whether a method is special, or one that a base class written in C calls, such as `tzinfo.utcoffset`."""
    return _is_special(name) or any(name in vars(base) for base in cls.__mro__[1:] if not can_change(base))


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _recorded(recorder: Recorder, converted: Converted, method: Any, place: ClassEntry | None = None) -> Any:
    """The converted form of a method; `place` is where Python looks it up by itself."""
    kind = None if place is None else _ANSWERS.get(place.name)
    is_strict = place is not None and place.name in _STRICT

    def called(*args: Any, **kwargs: Any) -> Any:
        if place is not None:
            recorder.reachable.add_special_method(place.owner, place.name, method)
        answer = converted(recorder, method)(*args, **kwargs)
        return answer if kind is None or recorder_for(answer) is None else kind(answer)

    @functools.wraps(method)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        if active_recorder() is not recorder:
            return method(*args, **kwargs)
        answer: Any = called(*args, **kwargs)
        if is_strict and is_unanswered(answer):
            raise answer.needed()
        return answer

    recorded.d2s_form = called  # type: ignore[attr-defined]
    return recorded

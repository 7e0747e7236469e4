"""Exceptions of the user's that leave the function: the program makes and raises them anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import D2SError, failing_call
from d2s.runtime.ir.program import PURE, Call, PythonType, Tree, Value
from d2s.runtime.recording.locations import line_of_raise

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder


def record_exception(recorder: Recorder, error: BaseException, tree: Callable[[Any], Tree]) -> Value:
    """The value of an exception that leaves the function; `tree` gives what its parts are in the program."""
    call = failing_call(error)
    if call is not None:
        recorder.emit(call)
        error = D2SError(f"the program was captured for a call that raises {type(error).__name__}, and it did not")
    value = recorder.fresh(PythonType(type(error)))
    attributes = {name: tree(item) for name, item in vars(error).items() if not name.startswith("__")}
    args = tuple(map(tree, error.args))
    place = line_of_raise(error)
    recorder.emit(Call(remake_exception, (type(error), args, attributes), {}, value, PURE, location=place))
    return value


def remake_exception(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """An exception as it was, without running its own `__init__` again."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error

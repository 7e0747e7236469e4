"""Exceptions of the user's that leave the function: the program makes and raises them anew."""

from __future__ import annotations

import dis
import re
import traceback
import types
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import RUNTIME_FOLDER, CaptureError, D2SError, Unwinding, failing_call
from d2s.runtime.ir.names import is_in_place
from d2s.runtime.ir.program import PURE, Call, PythonType, Tree, Value
from d2s.runtime.recording.locations import (
    TORCH_FOLDER,
    is_left_alone,
    is_own,
    is_users,
    line_of_raise,
    user_location,
)
from d2s.runtime.torch_internals.fakes import FAKE_ERRORS

if TYPE_CHECKING:
    from d2s.runtime.recording.recorder import Recorder

# Files whose functions do what the user's code says, and raise what it would raise.
_FOR_THE_USER = (
    f"{RUNTIME_FOLDER}operators/",
    f"{RUNTIME_FOLDER}recording/numbers.py",
    f"{RUNTIME_FOLDER}recording/attempts.py",
    f"{RUNTIME_FOLDER}recording/reads.py",
)


def record_exception(recorder: Recorder, error: BaseException, tree: Callable[[Any], Tree]) -> Value:
    """The value of an exception that leaves the function; `tree` gives what its parts are in the program."""
    return _value_of(recorder, as_in_eager(error), tree)


def _value_of(recorder: Recorder, error: BaseException, tree: Callable[[Any], Tree]) -> Value:
    """The value of an exception, and of those that are linked to it."""
    call = failing_call(error)
    if call is not None:
        value = recorder.fresh(PythonType(type(error)))
        args = (type(error), call.target, *call.args)
        effects = call.effects if _writes(call) else PURE
        recorder.emit(replace(call, target=raised_by, args=args, result=value, effects=effects))
    else:
        attributes = {name: tree(item) for name, item in attributes_of(error).items()}
        value = _emitted(recorder, error, remake_exception, (type(error), tuple(map(tree, error.args)), attributes))
    cause, context = _of_users(error.__cause__), _of_users(error.__context__)
    suppresses = error.__suppress_context__
    if cause is None and context is None and not suppresses:
        return value
    of_cause = cause and _value_of(recorder, cause, tree)
    of_context = of_cause if context is cause else context and _value_of(recorder, context, tree)
    return _emitted(recorder, error, chain_exception, (value, of_cause, of_context, suppresses))


def _of_users(linked: BaseException | None) -> BaseException | None:
    """An exception that another is linked to, without those that only a recording raises."""
    while isinstance(linked, (*FAKE_ERRORS, CaptureError, Unwinding)):
        linked = linked.__context__
    return linked


def _emitted(recorder: Recorder, error: BaseException, target: Any, args: tuple[Any, ...]) -> Value:
    value = recorder.fresh(PythonType(type(error)))
    recorder.emit(Call(target, args, {}, value, PURE, recorder.modes(), line_of_raise(error)))
    return value


def _writes(call: Call) -> bool:
    """Whether a call that fails writes what it is given where it does not."""
    is_written = is_in_place(call.target) or call.target.__name__.startswith(("__i", "__set"))
    return is_written or "out" in call.kwargs


def raised_by(kind: type[Exception], function: Callable[..., Any], *args: Any, **kwargs: Any) -> Exception:
    """What a call of torch's raises.

    Raises:
        D2SError: nothing.
    """
    try:
        function(*args, **kwargs)
    except kind as error:
        return error
    raise D2SError(f"the program was captured for a call that raises {kind.__name__}, and it did not")


def chain_exception(
    error: BaseException, cause: BaseException | None, context: BaseException | None, suppresses: bool
) -> BaseException:
    """An exception with what it was raised from, and while what was handled."""
    error.__cause__ = cause
    error.__context__ = context
    error.__suppress_context__ = suppresses
    return error


def attributes_of(error: BaseException) -> dict[str, Any]:
    """What the user's code has put into an exception, also its notes."""
    return {name: item for name, item in vars(error).items() if name == "__notes__" or not name.startswith("__")}


def remake_exception(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """An exception as it was, without running its own `__init__` again."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error


def as_in_eager(error: BaseException) -> BaseException:
    """An exception as eager raises it: its texts name no class of ours, and a region's variable is a local one."""
    if not _is_said_by_user(error):
        error.args = tuple(_without_stand_ins(arg) if type(arg) is str else arg for arg in error.args)
    return of_local(error)


def _is_said_by_user(error: BaseException) -> bool:
    """Whether an exception is raised by a `raise` of the user's, whose text is to stay as it is."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None or not is_users(last.tb_frame.f_code):
        return False
    return dis.opname[last.tb_frame.f_code.co_code[last.tb_lasti]] == "RAISE_VARARGS"


# What texts of Python's call the classes of what stands for a thing, and that thing's own.
_STAND_INS = re.compile(r"\b(FakeTensor|RunTime(?:Float|Int|Bool|Text|List|Tuple|Dict|Set|Array))\b")
_NAMES = {"FakeTensor": "Tensor", "RunTimeText": "str", "RunTimeArray": "numpy.ndarray"}


def _without_stand_ins(text: str) -> str:
    return _STAND_INS.sub(lambda found: _NAMES.get(found[0], found[0].removeprefix("RunTime").lower()), text)


def of_local(error: BaseException) -> BaseException:
    """A variable that a region reads is a local one of the function around it."""
    if type(error) is not NameError or error.__traceback__ is None or error.name is None:
        return error
    if not _is_local(error.name, [frame for frame, _ in traceback.walk_tb(error.__traceback__)]):
        return error
    text = f"cannot access local variable {error.name!r} where it is not associated with a value"
    found = UnboundLocalError(text, name=error.name).with_traceback(error.__traceback__)
    found.__context__ = error.__context__
    return found


def _is_local(name: str, frames: list[types.FrameType]) -> bool:
    """Whether the last of these frames reads a variable of a function of the user's that it is a region of."""
    code = frames[-1].f_code
    if name not in code.co_freevars:
        return False
    outer: types.FrameType | None = frames[0].f_back
    while outer is not None:
        frames.insert(0, outer)
        outer = outer.f_back
    owner = next((frame.f_code for frame in reversed(frames) if name in frame.f_code.co_cellvars), None)
    # A region is called as the function that it was part of.
    return owner is not None and (owner.co_filename, owner.co_qualname) == (code.co_filename, code.co_qualname)


# What torch raises where it can't do with fakes what it could do with tensors, and not for mistakes of the user's.
UNSUPPORTED = (NotImplementedError, AssertionError, RecursionError)


def refuse_own(error: BaseException) -> None:
    """Do nothing for an exception of the user's; one that is a bug of ours must not become part of a program.

    Raises:
        CaptureError: it was raised by the code of this package, or by torch for want of data.
    """
    if isinstance(error, FAKE_ERRORS):
        raise without_data(error) from error
    codes = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, UNSUPPORTED) and codes[-1].co_filename.startswith(TORCH_FOLDER):
        raise not_recorded(error) from error
    # Torch and the standard library raise on behalf of who called them.
    askers = (code.co_filename for code in reversed(codes) if is_own(code.co_filename) or not is_left_alone(code))
    asker = next(askers, "")
    if is_own(asker) and not asker.startswith(_FOR_THE_USER) and failing_call(error) is None:
        raise own_failure(error) from error


def own_failure(error: BaseException) -> CaptureError:
    """What to raise for an error that is a bug of ours."""
    return CaptureError("D2S901", f"d2s failed: {type(error).__name__}: {_first_line(error)}", "report it")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


def not_recorded(error: BaseException) -> CaptureError:
    """What to raise for an error of torch's that says that it can't do something with a fake tensor."""
    reason = f"torch can't tell what the answer is like: {type(error).__name__}: {_first_line(error)}"
    return CaptureError("D2S405", reason, "call this outside of the static function", user_location())


def without_data(error: BaseException, what: str = "") -> CaptureError:
    """What to raise for an error of torch's that says that a fake tensor has no data."""
    reason = f"{what}torch has to know a value or a size that is not known before the run"
    remedy = f"move this out of the static function, or take the size from another tensor ({_first_line(error)})"
    return CaptureError("D2S105", reason, remedy, user_location())

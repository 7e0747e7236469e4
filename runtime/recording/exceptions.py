"""Exceptions of the user's that leave the function: the program makes and raises them anew."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import RUNTIME_FOLDER, CaptureError, D2SError, failing_call
from d2s.runtime.ir.program import PURE, Call, PythonType, Tree, Value
from d2s.runtime.recording.locations import TORCH_FOLDER, is_left_alone, is_own, line_of_raise, user_location
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
    call = failing_call(error)
    if call is not None:
        recorder.emit(call)
        error = D2SError(f"the program was captured for a call that raises {type(error).__name__}, and it did not")
    value = recorder.fresh(PythonType(type(error)))
    attributes = {name: tree(item) for name, item in attributes_of(error).items()}
    args = tuple(map(tree, error.args))
    place = line_of_raise(error)
    recorder.emit(Call(remake_exception, (type(error), args, attributes), {}, value, PURE, recorder.modes(), place))
    return value


def attributes_of(error: BaseException) -> dict[str, Any]:
    """What the user's code has put into an exception."""
    return {name: item for name, item in vars(error).items() if not name.startswith("__")}


def remake_exception(kind: type[BaseException], args: tuple[Any, ...], attributes: dict[str, Any]) -> BaseException:
    """An exception as it was, without running its own `__init__` again."""
    error = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(attributes)
    return error


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

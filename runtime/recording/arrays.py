"""Arrays and scalars of numpy's that are known only when the program runs.

The program calls numpy itself. Where the recording relies on the type of what such a call gives, the program checks
that.
"""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from d2s.runtime.errors import CaptureError, D2SError
from d2s.runtime.ir.program import ORDERED, ArrayType, Value
from d2s.runtime.recording.locations import Site, asking_code, is_own, user_location
from d2s.runtime.recording.regions import RecordAgain
from d2s.runtime.recording.staged import UnansweredValue

if TYPE_CHECKING:
    from d2s.runtime.recording.lifting import Reachable


def is_array(thing: Any) -> bool:
    """Whether this is an array of numpy's that is known, or a scalar that is none of Python's own."""
    return type(thing).__module__ == "numpy" and hasattr(type(thing), "dtype")


def array_type(thing: Any) -> ArrayType:
    """The type of an array or a scalar."""
    return ArrayType(type(thing), thing.dtype, thing.shape)


def expect_array(thing: Any, expected: ArrayType) -> None:
    """Do nothing for an array of a type.

    Raises:
        D2SError: it is of another, though the program was made for this one.
    """
    found = array_type(thing)
    if not expected.covers(found):
        raise D2SError(f"numpy gives {found}, and the program was captured for {expected}")


def size_of(array: Any, dimension: int) -> int:
    """The size of a dimension."""
    return int(array.shape[dimension])


class RunTimeArray(UnansweredValue):
    """An array or a scalar; it answers with numpy's class when asked for its own.

    `checked` is whether its type follows from those of what it was made of, whatever they hold.
    """

    __slots__ = ("checked", "recorder", "value")

    def __init__(self, recorder: Any, value: Value, checked: bool = False):
        self.recorder = recorder
        self.value = value
        self.checked = checked

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        is_ours = is_own(asking_code().co_filename)
        return RunTimeArray if is_ours else self.relied_on().kind

    @property
    def type(self) -> ArrayType:
        """What is known of it, if the program doesn't find another."""
        assert isinstance(self.value.type, ArrayType)
        return self.value.type

    def relied_on(self) -> ArrayType:
        """What is known of it, which the program checks if it may be another."""
        if not self.checked:
            self.recorder.emit_call(expect_array, (self, self.type), {}, None, ORDERED)
        return self.type

    kind = property(lambda self: self.type.kind)
    dtype = property(lambda self: self.relied_on().dtype)
    itemsize = property(lambda self: self.dtype.itemsize)
    shape = property(lambda self: self.sizes())
    ndim = property(lambda self: len(self.relied_on().shape))
    size = property(lambda self: functools.reduce(operator.mul, self.sizes(), 1))
    nbytes = property(lambda self: self.size * self.itemsize)

    def sizes(self) -> tuple[Any, ...]:
        """The shape, with a number of the run for each size that is unknown."""
        return tuple(
            self.recorder.number_call(size_of, (self, dimension), int) if size is None else size
            for dimension, size in enumerate(self.relied_on().shape)
        )

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.type.kind, name)
        if name.startswith("__"):
            raise AttributeError(name)
        if callable(found):
            return lambda *args, **kwargs: self.recorder.array_call(found, (self, *args), kwargs)
        return self.recorder.array_call(getattr, (self, name), {})

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return self.recorder.array_call(getattr(ufunc, method), inputs, kwargs, checked=method == "__call__")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return self.recorder.array_call(function, args, kwargs)

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise NotImplementedError  # the recorder is asked first

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self.needed("the memory")

    def __len__(self) -> int:
        return operator.index(self.sizes()[0])

    def __iter__(self) -> Any:
        sizes = self.sizes()
        if not sizes:
            return iter(self.type.kind(0))  # raises what numpy raises
        count = operator.index(sizes[0])
        return iter([self.recorder.array_call(operator.getitem, (self, place), {}) for place in range(count)])

    def __contains__(self, item: Any) -> bool:
        return bool(self.recorder.number_call(operator.contains, (self, item), bool))

    def __setitem__(self, place: Any, item: Any) -> None:
        self.recorder.array_call(operator.setitem, (self, place, item), {})

    def __copy__(self) -> Any:
        return self.recorder.array_call(copy.copy, (self,), {}, checked=self.checked)

    def __deepcopy__(self, memo: Any) -> Any:
        return self.__copy__()

    def needed(self, what: str = "the value") -> BaseException:
        """What to raise where the array has to be known."""
        reason = f"{what} of an array computed from a tensor is asked for, and not known before the run"
        return self.recorder.pending(
            CaptureError("D2S101", reason, "compute with functions of numpy", user_location())
        )


class ArrayFound(RecordAgain):
    """A place makes arrays that must be of the run."""

    def __init__(self, arrays: MadeArrays, site: Site | None):
        self.settle = lambda: arrays.add(site)


class MadeArrays:
    """The arrays that one recording makes of known numbers, and which places of the code must not."""

    def __init__(self, reachable: Reachable):
        self._reachable = reachable
        self._found: set[Site | None] = set()
        self.forget_run()

    def forget_run(self) -> None:
        """Begin a new run of the function."""
        self._made: dict[int, tuple[Any, Site]] = {}

    def remember(self, array: Any, site: Site) -> None:
        """An array was made at a place."""
        self._made[id(array)] = array, site

    def add(self, site: Site | None) -> None:
        """From now on what this place makes is of the run, None for all places."""
        self._found.add(site)

    def is_found(self, site: Site) -> bool:
        """Whether what a place makes is of the run."""
        return site in self._found or None in self._found

    def found(self, array: Any) -> ArrayFound | None:
        """What to raise to have an array be of the run; None where it can't be, for it is the user's, or a scalar."""
        if not hasattr(array, "__setitem__"):
            return None
        base = array
        while base is not None and id(base) not in self._made:
            if self._reachable.find(base) is not None:
                return None
            base = getattr(base, "base", None)
        site = None if base is None else self._made[id(base)][1]
        return None if site in self._found or None in self._found else ArrayFound(self, site)


def is_run_time_array(thing: object) -> bool:
    """Whether an array is known only when the program runs."""
    return type(thing) is RunTimeArray


def _method(function: Callable[..., Any], reflected: bool, checked: bool) -> Callable[..., Any]:
    def method(self: RunTimeArray, *others: Any) -> Any:
        operands = (*others, self) if reflected else (self, *others)
        return self.recorder.array_call(function, operands, {}, checked=checked)

    return method


_BINARY = "add sub mul truediv floordiv mod pow matmul and_ or_ xor lshift rshift".split()
_COMPARISONS = "lt le gt ge eq ne".split()
_UNARY = "neg pos abs invert".split()

for _name in (*_BINARY, *_COMPARISONS, *_UNARY, "getitem"):
    _plain = _name.rstrip("_")
    setattr(RunTimeArray, f"__{_plain}__", _method(getattr(operator, _name), False, _name != "getitem"))
    if _name in _BINARY:
        setattr(RunTimeArray, f"__r{_plain}__", _method(getattr(operator, _name), True, True))
        setattr(RunTimeArray, f"__i{_plain}__", _method(getattr(operator, f"i{_plain}"), False, True))

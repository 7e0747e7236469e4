"""Exceptions: raised by the user's code, by Python and by torch for some values, caught, chained, cleaned up after."""

from __future__ import annotations

import contextlib
import warnings

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])
ROWS = torch.arange(3.0)


def at(position):
    return ROWS, torch.tensor(position)


class CodeError(ValueError):
    def __init__(self, code, value):
        super().__init__(code, value)
        self.code = code
        self.value = value

    def __str__(self):
        return f"error {self.code}: {self.value}"


@feature("an index out of range for some inputs, caught", at(1), at(7), at(-9), ways=3)
def index_out_of_range(x, i):
    try:
        y = x[int(i)] * 2
    except IndexError as error:
        y = str(error)
    return y


@feature("an item of a list out of range for some inputs, caught", at(1), at(7))
def list_out_of_range(x, i):
    try:
        return [x, x * 2][int(i)]
    except IndexError as error:
        return x * 3, str(error)


@feature("a division by zero for some inputs, caught", at(2), at(0))
def division_by_zero(x, i):
    try:
        return x * (10 // int(i)), "divided"
    except ZeroDivisionError as error:
        return x, error.args


@feature("a failing decomposition retried with more on the diagonal", torch.eye(2), -0.5 * torch.eye(2))
def retried_decomposition(matrix):
    jitter = 0.0
    for attempt in range(3):
        try:
            return torch.linalg.cholesky(matrix + jitter * torch.eye(2)), attempt
        except RuntimeError:
            jitter = jitter * 10 + 0.1
    return matrix, -1


@feature("a failure of one round of a loop, caught in it", at(0), at(2), at(-1), ways=3)
def caught_in_a_loop(x, i):
    out = []
    for offset in range(3):
        try:
            out.append(x[offset + int(i)])
        except IndexError:
            out.append(-x[0])
    return torch.stack(out)


@feature("what fails is not caught, cleaned up after, and leaves", at(1), at(7))
def cleaned_up(x, i):
    try:
        y = x[int(i)]
    except ZeroDivisionError:
        y = x
    finally:
        print("done")
    return y


@feature("else and finally around raises of the user", X, -X, X * 0, ways=3)
def every_clause(x):
    log = []
    try:
        if x.sum() > 0:
            raise ValueError("positive")
        log.append("body")
        if x.sum() < 0:
            return log, x
    except ValueError as error:
        log.append(str(error))
    else:
        log.append("else")
    finally:
        log.append("finally")
    return log, x * 2


@feature("a return in a finally, which swallows what is raised", X, -X)
def swallowed(x):
    try:
        if x.sum() > 0:
            raise ValueError("positive")
    finally:
        if x.max() > 2:
            return x * 3
    return x


@feature("one exception raised from another", X, -X)
def raised_from(x):
    try:
        try:
            if x.sum() > 0:
                raise ValueError("inner")
            raise KeyError("key")
        except ValueError as error:
            raise RuntimeError("outer") from error
    except (RuntimeError, KeyError) as error:
        return x, type(error).__name__, type(error.__cause__).__name__, error.args


@feature("an exception class of the user that holds a value", X, -X)
def own_exception(x):
    try:
        if x.sum() > 0:
            raise CodeError(7, x.sum().item())
    except CodeError as error:
        return str(error), error.code, error.value, error.args
    return x


@feature("an exception of the user that leaves, with a value in its text", X, -X)
def leaving(x):
    assert x.sum() < 0, f"the sum is {x.sum().item():.2f}"
    return x


@feature("contextlib.suppress", X, -X)
def suppressed(x):
    with contextlib.suppress(ValueError):
        if x.sum() > 0:
            raise ValueError
        x = x * 2
    return x


@feature("an except for everything around what can't be recorded", X, eager="exec", code="D2S303", ways=1)
def except_for_everything(x):
    try:
        exec("1")
    except BaseException:
        return x * 7
    return x


@feature("a manager that swallows everything around what can't be recorded", X, eager="exec", code="D2S303", ways=1)
def manager_for_everything(x):
    with contextlib.suppress(BaseException):
        exec("1")
        x = x * 2
    return x


@feature("a finally that returns after what can't be recorded", X, eager="exec", code="D2S303", ways=1)
def finally_for_everything(x):
    try:
        exec("1")
    finally:
        return x * 7  # noqa: B012


@feature("a raise in a loop on tensors, caught outside of it", X, -X)
def raise_out_of_a_loop(x):
    try:
        while x.abs().sum() < 100:
            x = x * 2
            if x.sum() > 50:
                raise ValueError("too large")
    except ValueError as error:
        return x, str(error)
    return x, "fine"


class TooManyError(Exception):
    def __init__(self, count, x):
        super().__init__(f"{count} are too many")
        self.count = count
        self.x = x


@feature("several kinds of exceptions out of loops in loops, with causes and attributes", X, -X, 100 * X)
def raises_out_of_loops(x):
    seen, count = [], 0
    try:
        for row in range(int(x.abs().max()) + 1):
            while x[row % 3] < 3:
                x = x * 2 + 1
                count += 1
                if x.min() < -60:
                    raise KeyError(row)
                if count > 3:
                    try:
                        raise TooManyError(count, x)
                    except TooManyError as error:
                        raise RuntimeError(f"row {row}") from error
    except KeyError as error:
        seen.append(error.args[0])
    except RuntimeError as error:
        seen.append((str(error), error.__cause__.count, error.__cause__.x))
    finally:
        count += 100
    return x, count, seen


@feature("a position out of range in a loop on tensors, caught outside of it", X, -X, 100 * X)
def position_out_of_a_loop(x):
    table, total, position = [1, 2, 3], 0, 0
    try:
        while position < x.abs().sum() - 3:
            total += table[position]
            position += 1
    except IndexError as error:
        return -total, str(error)
    else:
        total += 7
    return total


class Swallowing:
    def __init__(self):
        self.seen = []

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.seen.append(None if kind is None else kind.__name__)
        return kind is ValueError


@feature("a raise out of a loop through a `with` that swallows it", X, -X, 100 * X)
def out_of_a_loop_through_with(x):
    manager = Swallowing()
    with manager:
        while x.sum() < 1000:
            x = x + x.abs() + 1
            if 50 < x[0] < 80:
                raise ValueError
        x = x + 1
    return x, manager.seen


@feature("`finally` that reads what the body and the handlers bind", X, -X)
def finally_reads(x):
    try:
        if x.sum() > 0:
            raise ValueError("above")
        y = x * 2
    except ValueError:
        y = x * 3
    finally:
        y = y + 1
    return y


@feature("callbacks of an ExitStack that print", X, -X)
def stacked_callbacks(x):
    for i in range(3):
        with contextlib.ExitStack() as stack:
            stack.callback(print, "left", i)
            if x.sum() > i:
                break
            x = x + 2
    return x, i


@feature("warnings caught in a list", X, eager="the program warns when it runs", code="D2S308")
def caught_warnings(x):
    with warnings.catch_warnings(record=True) as caught:
        if x.sum() > 0:
            warnings.warn("above", stacklevel=2)
    return x, len(caught)


@feature("texts of the user's own that name a class of torch's fakes", X, -X)
def own_words(x):
    try:
        if x.sum() > 0:
            raise ValueError("FakeTensor is no RunTimeFloat")
        return x.sum().item() + [], ""
    except (ValueError, TypeError) as error:
        return x, str(error)


@feature("a group of exceptions under a condition, split by except*", X, -X, 9 * X.abs(), ways=3)
def groups_of_exceptions(x):
    caught = []
    try:
        if x.sum() > 5:
            raise ExceptionGroup("several", [ValueError("a"), TypeError("b"), KeyError("c")])
        if x.sum() < 0:
            raise ValueError("alone")
        x = x + 1
    except* (ValueError, TypeError) as group:
        caught.append([str(error) for error in group.exceptions])
        x = x * 2
    except* KeyError:
        caught.append("key")
    else:
        caught.append("none")
    return x, caught

"""`if` on tensors: one program with both sides, the same as eager whichever is taken.

PYTEST_DONT_REWRITE: the messages of asserts are compared.
"""

from __future__ import annotations

import traceback
from typing import Any

import pytest
import torch
from check import bind, check
from compare import failed_runs, same

import d2s
from d2s.conversion import convert
from d2s.runtime.backend.codegen import compile_program
from d2s.runtime.errors import CaptureError
from d2s.runtime.ir.program import Branch, If, Program, Raise, walk_blocks
from d2s.runtime.recording.capture import capture


def t(*values: float) -> torch.Tensor:
    return torch.tensor(values if len(values) > 1 else values[0])


def ops(program: Program, kind: type) -> list[Any]:
    return [op for block in walk_blocks(program.body) for op in block.ops if isinstance(op, kind)]


def ends(program: Program, kind: type) -> list[Any]:
    return [block.terminator for block in walk_blocks(program.body) if isinstance(block.terminator, kind)]


def test_tensors_merge_into_one_result() -> None:
    def clamp(x, limit):
        scale = torch.ones(())
        if x.norm() > limit:
            scale = limit / x.norm()
        return x * scale, scale

    program = check(clamp, (t(3.0, 4.0), t(1.0)), (t(0.3, 0.4), t(1.0)))
    (branch,) = ops(program, If)
    assert len(branch.results) == 1
    assert not ends(program, Branch)


def test_numbers_merge() -> None:
    def grade(x):
        if x.sum() > 10:
            k, name = 3, 1.5
        elif x.sum() > 0:
            k, name = 2, 2.5
        else:
            k, name = 1, 3.5
        return x * k + name, k, name, k > 1

    program = check(grade, t(9.0, 2.0), t(1.0, 2.0), t(-1.0, 0.0), ways=3)
    assert not ends(program, Branch)


def test_a_name_that_only_one_side_needs_is_not_merged() -> None:
    def scaled(x):
        y = x
        if x.sum() > 0:
            temporary = "text"
            y = x * len(temporary)
        else:
            temporary = None
            y = x - 1
        return y

    assert not ends(check(scaled, t(1.0, 2.0), t(-1.0, -2.0)), Branch)


def test_a_name_bound_on_one_side_and_used_under_the_same_test() -> None:
    def correlated(x):
        big = x.abs().max() > 2
        if big:
            extra = x.exp()
        y = x * 3
        if big:
            y = y + extra
        return y if not big else y * 2

    program = check(correlated, t(1.0, 3.0), t(1.0, 0.0))
    assert not ends(program, Raise), "eager never raises here"


def test_truth_is_asked_again_after_a_write() -> None:
    def rewritten(flag, x):
        if flag:
            x = x + 1
        flag.logical_not_()
        if flag:
            x = x * 10
        return x

    check(rewritten, (torch.tensor(True), t(1.0, 2.0)), (torch.tensor(False), t(1.0, 2.0)))


def test_none_against_a_tensor() -> None:
    def maybe(x):
        if x.sum() > 0:
            return x * 2

    check(maybe, t(1.0, 2.0), t(-1.0, -2.0))


def test_returns_of_different_arity_and_type() -> None:
    def various(x):
        if x[0] > 2:
            return x, "large"
        if x[0] > 1:
            return {"middle": x * 2}
        return x.sum() if x[1] > 0 else 0

    check(various, t(3.0, 1.0), t(1.5, 1.0), t(0.0, 1.0), t(0.0, -1.0), ways=4)


def test_one_side_raises() -> None:
    def checked(x, limit=5.0):
        if x.max() > limit:
            raise ValueError("too large", 5)
        assert (x >= 0).all(), "negative"
        return x / 2

    check(checked, t(1.0, 2.0), t(9.0, 2.0), t(-1.0, 2.0), ways=3)


def test_the_users_own_try_sees_what_a_side_raises() -> None:
    def guarded(x):
        trail = []
        try:
            if x.max() > 5:
                raise KeyError("big")
            if x.max() > 2:
                raise IndexError("middle")
            y = x
        except KeyError:
            y = x / 10
            trail.append("key")
        except (IndexError, TypeError) as error:
            y = x / 2
            trail.append(str(error))
        else:
            trail.append("else")
        finally:
            trail.append("finally")
        return y, trail

    check(guarded, t(9.0, 1.0), t(3.0, 1.0), t(1.0, 1.0), ways=3)


def test_in_place_writes_in_a_side() -> None:
    def add_into(x, y):
        x = x * 1
        if y.sum() > 0:
            x.add_(y)
        else:
            x[0] = y[1]
            x.mul_(2)
        return x

    check(add_into, (t(1.0, 2.0), t(1.0, 1.0)), (t(1.0, 2.0), t(-1.0, 0.0)))


def test_shapes_that_differ() -> None:
    def cut(x):
        if x.sum() > 0:
            y = x[:1]
        else:
            y = x
        return y * 2, y.sum()

    program = check(cut, t(1.0, 2.0, 3.0), t(-1.0, -2.0, -3.0))
    assert [str(value.type) for value in ops(program, If)[0].results] == ["float32[?]"]


def test_operands_that_must_not_run() -> None:
    def guarded(x, flag):
        if (flag and 1 / x.shape[0] > 0 and x[0] > 0) or x.sum() > 100:
            return x * 2
        return x if not (x[1] > 0 or flag) else x - 1

    flags = torch.tensor(True), torch.tensor(False)
    inputs = [(t(a, b), flag) for a in (1.0, -1.0) for b in (1.0, -1.0, 200.0) for flag in flags]
    check(guarded, *inputs, ways=6)


def test_comparison_chains_ternaries_and_membership() -> None:
    def mixed(x, key):
        score = 0
        if 0 < x[0] < x[1]:
            score += 1
        if key in (1.0, 5.0):
            score += 10
        if key not in x:
            score += 100
        return score, (x if x[0] != 2 else key)

    check(mixed, (t(1.0, 2.0), t(1.0)), (t(2.0, 1.0), t(5.0)), (t(-2.0, 1.0), t(7.0)), ways=3)


def test_early_returns_in_nested_ifs() -> None:
    def nested(x):
        if x[0] > 0:
            y = x + 1
            if x[1] > 0:
                return y
            y = y * 2
        else:
            y = x - 1
        if y.sum() > 0:
            return -y
        return y

    check(nested, t(1.0, 1.0), t(1.0, -1.0), t(-1.0, 5.0), t(-5.0, 1.0), ways=4)


def test_tuples_merge_item_by_item() -> None:
    def pair(x):
        p = (x, 1, "same") if x.sum() > 0 else (x * 2, 2, "same")
        return p[0] * p[1], p[2]

    assert not ends(check(pair, t(1.0, 2.0), t(-1.0, -2.0)), Branch)


def test_lists_changed_in_one_side() -> None:
    def gather(x):
        parts = [x.sum(), x.max()]
        if x[0] > 0:
            parts = [*parts, x[0]]
        return parts, len(parts)

    check(gather, t(1.0, 2.0), t(-1.0, 2.0))


def test_a_decision_that_no_rule_covers_forks() -> None:
    def chosen(x):
        return list(filter(lambda v: v > 0, x)), bool(x[0] > 1)

    check(chosen, t(1.0, 2.0), t(-1.0, 2.0), t(-1.0, -2.0), ways=3)


def test_gradients_of_the_side_that_was_taken() -> None:
    def partly(x, w):
        y = x * w
        if y.sum() > 0:
            with torch.no_grad():
                scale = y.abs().max()
            y = y / scale
        else:
            y = y + y.detach() * w
        return y

    check(partly, (t(1.0, 2.0), t(2.0, 3.0)), (t(-1.0, -2.0), t(2.0, 3.0)))


def test_equal_and_allclose_as_tests() -> None:
    def compared(a, b):
        if torch.equal(a, b):
            return a, "same"
        if torch.allclose(a, b, atol=0.1):
            return (a + b) / 2, "close"
        return b, "far"

    check(compared, (t(1.0, 2.0), t(1.0, 2.0)), (t(1.0, 2.0), t(1.05, 2.0)), (t(1.0, 2.0), t(5.0, 2.0)), ways=3)


def test_identity_of_tensors_and_flags() -> None:
    def same_objects(x):
        y = x if x.sum() > 0 else x * 2
        flag = False
        for v in x:
            if v > 0:
                flag = True
        return y is x, y is not x, flag is True, flag is not False, y is None

    check(same_objects, t(1.0, 2.0), t(-1.0, -2.0), t(-9.0, 2.0), ways=3)


def test_a_shape_changed_in_place_in_a_side() -> None:
    def transposed(x):
        x = x.clone().reshape(1, 2)
        if x.sum() > 0:
            x.t_()
        return x.shape, x

    check(transposed, t(1.0, 2.0), t(-1.0, -2.0))


def test_an_iterator_advanced_in_a_side() -> None:
    def advanced(x):
        it = iter([1, 2, 3, 4])
        first = next(it) if x.sum() > 0 else 0
        for k in it:
            if k > x.sum():
                break
        return first, next(it, None)

    check(advanced, t(1.0, 1.0), t(-1.0, 0.0), t(3.0, 0.5), ways=3)


def test_objects_that_a_side_makes_for_itself() -> None:
    def stacked(x):
        if x.sum() > 0:
            parts = []
            parts.append(x)
            parts.append(x * 2)
            y = torch.stack(parts)
        else:
            y = torch.stack([x, x])
        return y

    check(stacked, t(1.0, 2.0), t(-1.0, -2.0))


def test_a_name_that_is_not_bound_raises_what_eager_raises() -> None:
    def unbound(x):
        if x.sum() > 0:
            y = x
        return y

    check(unbound, t(1.0, 2.0), t(-1.0, -2.0))


def test_random_draws_in_a_side() -> None:
    def noisy(x):
        if x.sum() > 0:
            x = torch.nn.functional.dropout(x, 0.5)
        return x, torch.rand(2)

    check(noisy, t(1.0, 2.0), t(-1.0, -2.0))


def test_too_many_paths_say_so() -> None:
    def bits(x):
        return [None if v > 0 else v for v in x]

    with pytest.raises(CaptureError, match="more than 64 paths"):
        capture(convert(bits), bind(bits, torch.ones(7)), convert=convert)


def test_what_torch_raises_is_raised_by_the_true_call() -> None:
    def mismatched(x, y):
        if x.sum() > 0:
            return x @ y
        return x

    check(mismatched, (torch.ones(3), torch.ones(4)), (-torch.ones(3), torch.ones(4)))


def test_tracebacks_of_a_recording_point_at_the_users_line() -> None:
    def failing(x):
        if x.sum() > 0:
            y = x.no_such_method()
        else:
            y = x
        return y

    program = capture(convert(failing), bind(failing, torch.ones(2)), convert=convert).program
    made = [op for op in ops(program, object) if op.location]
    first = failing.__code__.co_firstlineno
    assert made[-1].location.line == first + 2
    with pytest.raises(AttributeError, match="no_such_method"):
        compile_program(program).run(torch.ones(2))


def test_eager_tracebacks_of_converted_code_point_at_the_users_line() -> None:
    def failing(x):
        if x > 0:
            y = 1 / 0
        return y

    with pytest.raises(ZeroDivisionError) as caught:
        convert(failing)(1)
    frame = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno) == (__file__, failing.__code__.co_firstlineno + 2)


def one_or_none(x):
    items = []
    try:
        if x > 0:
            items.append(1)
        else:
            items.append(1)
    except RuntimeError as error:
        return str(error)
    return items


@pytest.mark.parametrize("shape", [(), (1, 1), (2,), (0, 3)])
@pytest.mark.parametrize("is_open", [False, True])
def test_the_truth_of_several_elements(shape: tuple[int, ...], is_open: bool) -> None:
    spec = [d2s.InputSpec([None] * len(shape))] if is_open else None
    static = d2s.to_static(one_or_none, full_graph=True, input_spec=spec)
    assert same(static(torch.ones(shape)), one_or_none(torch.ones(shape)))
    assert not failed_runs(static)

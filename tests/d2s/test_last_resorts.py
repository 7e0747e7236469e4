"""What can't be known while a function is recorded: it falls back, and does what it does in eager."""

import atexit
import contextvars
import logging
import mmap
import sys
import threading
import weakref
from typing import Any, cast

import pytest
import torch
from compare import outcome, same

import d2s


class Marked(torch.Tensor):
    limit = 3

    def doubled(self):
        return self * 2

    def half(self):
        return self / 4


MARKED = torch.ones(2).as_subclass(Marked)


class Plain:
    pass


def kind_of_answer(x):
    return type(x + 1).__name__


def kind_by_attribute(x):
    return (x + 1).__class__.__name__


def is_of_kind(x):
    return isinstance(x + MARKED, Marked)


def own_method(x):
    return (x + MARKED).doubled()


def own_method_that_torch_has_too(x):
    return (x + MARKED).half()


def own_data(x):
    return cast(Any, x + 1).limit if isinstance(x, Marked) else x


DROPPED: list[str] = []


def callback_of_a_reference(x):
    thing = Plain()
    reference = weakref.ref(thing, lambda reference: DROPPED.append("now"))
    del thing
    return x + 1, reference() is None, len(DROPPED) > 0


def finalizer(x):
    thing = Plain()
    weakref.finalize(thing, DROPPED.append, "now")
    return x + 1


def hooks_of_a_tensor(x):
    return bool(MARKED._backward_hooks), x + 1


def state_of_the_generator(x):
    return torch.equal(torch.get_rng_state(), x), x


def gradients_by_a_tensor(x):
    with torch.set_grad_enabled(x.sum() > 0):
        return x * 2


TRACED = torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2))
SCRIPTED = torch.jit.script(torch.nn.Linear(2, 2))


@torch.jit.script
def script(x: torch.Tensor) -> torch.Tensor:
    return x * 2


def traced_module(x):
    return TRACED(x)


def scripted_module(x):
    return SCRIPTED(x)


def scripted_function(x):
    return script(x)


LOCK, FREE = threading.Lock(), threading.Semaphore(1)


def holds_a_lock(x):
    with LOCK:
        return x + 1


def takes_a_lock(x):
    taken = LOCK.acquire(timeout=5)
    LOCK.release()
    return x, taken


def takes_a_semaphore(x):
    FREE.acquire()
    FREE.release()
    return x


NESTED = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
COMPRESSED = torch.eye(3).to_sparse_csr()
MAPPED = mmap.mmap(-1, 4)


def reads_a_nested_tensor(x):
    return x, NESTED.unbind()[0]


def reads_a_compressed_tensor(x):
    return x, COMPRESSED.to_dense()


def moves_in_a_file(x):
    MAPPED.seek(0)
    return x * MAPPED.read_byte()


def asks_for_its_frame(x):
    return x, sys._getframe().f_code.co_name


def is_called_at_the_end(x):
    atexit.register(len, "")
    return x


CODES = {
    reads_a_nested_tensor: "D2S310",
    reads_a_compressed_tensor: "D2S310",
    moves_in_a_file: "D2S308",
    asks_for_its_frame: "D2S308",
    is_called_at_the_end: "D2S308",
    holds_a_lock: "D2S308",
    takes_a_lock: "D2S308",
    takes_a_semaphore: "D2S308",
    kind_of_answer: "D2S307",
    kind_by_attribute: "D2S307",
    is_of_kind: "D2S307",
    own_method: "D2S307",
    own_method_that_torch_has_too: "D2S307",
    own_data: "D2S307",
    callback_of_a_reference: "D2S307",
    finalizer: "D2S307",
    hooks_of_a_tensor: "D2S101",
    state_of_the_generator: "D2S308",
    gradients_by_a_tensor: "D2S101",
    traced_module: "D2S305",
    scripted_module: "D2S305",
    scripted_function: "D2S305",
}


@pytest.mark.parametrize("function", CODES)
def test_it_falls_back(function):
    with pytest.raises(d2s.ConversionError, match=CODES[function]):
        d2s.to_static(function, full_graph=True)(MARKED)
    static = d2s.to_static(function)
    with pytest.warns(d2s.FallbackWarning, match=CODES[function]):
        assert same(outcome(static, MARKED), outcome(function, MARKED))
    assert same(outcome(static, -MARKED), outcome(function, -MARKED))


def test_what_is_known_of_such_tensors():
    def function(x):
        return type(x).__name__, x.__class__.__name__, isinstance(x, Marked), isinstance(x + 1, torch.Tensor)

    static = d2s.to_static(function, full_graph=True)
    for x in (MARKED, torch.ones(2)):
        assert static(x) == function(x)


class _Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record):
        self.texts.append(self.format(record))


def test_a_log_of_the_exception():
    log, texts = logging.getLogger("d2s.test.exceptions"), []

    def function(x):
        try:
            raise ValueError("it failed")
        except ValueError:
            log.exception("caught")
        return x

    with pytest.warns(d2s.FallbackWarning, match="D2S308"):
        for each in (function, d2s.to_static(function)):
            handler = _Kept()
            log.addHandler(handler)
            each(torch.ones(2))
            log.removeHandler(handler)
            texts.append([text.splitlines()[-1] for text in handler.texts])
    assert texts[0] == texts[1] == ["ValueError: it failed"]


class Hidden:
    def __init__(self):
        self.scale, self.seen = 2.0, [1.0]


def test_what_no_variable_leads_to():
    thing, variable, context = Hidden(), contextvars.ContextVar[Hidden]("variable"), contextvars.copy_context()
    context.run(variable.set, thing)

    def written(x):
        context[variable].seen.append(3.0)
        return x

    def looked_up(x):
        return x * context[variable].scale

    def items(x):
        return x * sum([number for number in context[variable].seen]), context[variable].seen[0]

    for function in (written, looked_up, items):
        with pytest.warns(d2s.FallbackWarning, match="D2S310"):
            static = d2s.to_static(function)
            assert same(static(torch.ones(2)), function(torch.ones(2)))
            thing.scale, thing.seen[0] = thing.scale + 1, thing.seen[0] + 1
            assert same(static(torch.ones(2)), function(torch.ones(2)))
    assert thing.seen.count(3.0) == 4

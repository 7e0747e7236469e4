"""Classes, modules and structures of C that change between two calls: with functions as they are, and with static."""

import contextlib
import ctypes
import gc
import queue
import sqlite3
import threading
import types
import weakref
from typing import Any, cast

import pytest
import torch
from compare import same
from torch import fx, nn

import d2s

X = torch.ones(2)


def captured(target):
    return d2s.to_static(target, full_graph=True)


def the_forward_of_a_class(static):
    class Plus(nn.Module):
        def forward(self, x):
            return x + 1

    class Times(Plus):
        def forward(self, x):
            return x * 50

    first, second = static(Plus()), static(Plus())
    outer = static(lambda x: first(x) * 2)
    answers = [first(X), second(X), outer(X)]
    second.__class__ = Times
    Plus.forward = lambda self, x: x + 100  # type: ignore[method-assign]
    return [*answers, first(X), second(X), outer(X)]


def an_edited_graph(static):
    class Small(nn.Module):
        def forward(self, x):
            return torch.relu(x) + 1

    module = static(fx.symbolic_trace(Small()))
    first = module(-X)
    for node in module.graph.nodes:
        if node.target is torch.relu:
            node.target = torch.neg
    module.recompile()
    return first, module(-X)


def attributes_of_a_callable_object(static):
    class Counting:
        count = 0

        def __call__(self, x):
            self.count += 1
            return x * self.count

    thing = static(Counting())
    first = thing(X)
    thing.count = 50
    second = thing(X)
    del thing.count
    return first, second, thing(X), thing.count


def a_property_in_place_of_a_value(static):
    class Thing:
        value: Any = property(lambda self: 1)

    thing, answers = Thing(), []
    function = static(lambda x: x * thing.value)
    for of_class, own in ((Thing.value, None), (7, None), (7, 8), (property(lambda self: 9), 8)):
        Thing.value = of_class
        thing.__dict__.update({} if own is None else {"value": own})
        answers.append(function(X))
    return answers


def the_bases_of_a_class(static):
    class Plus:
        def scaled(self, x):
            return x + 1

    class Times:
        def scaled(self, x):
            return x * 100

    class Child(Plus):
        def scaled(self, x):
            return super().scaled(x) * 2

    child = Child()
    functions = [
        static(child.scaled),
        static(lambda x: x * 2 if isinstance(child, Times) else x),
        static(lambda x: x * 2 if issubclass(Child, Times) else x),
    ]
    answers = [function(X) for function in functions]
    Child.__bases__ = (Times,)
    return answers + [function(X) for function in functions]


def what_a_module_looks_up(static):
    module, count, table = cast(Any, types.ModuleType("looked_up")), [0], {"scale": 2.0}

    def look_up(name):
        count[0] += 1
        return table[name]

    module.__getattr__ = look_up
    function = static(lambda x: x * module.scale)
    answers = [function(X), function(X)]
    table["scale"] = 3.0
    answers.append(function(X))
    module.__getattr__ = lambda name: 5.0
    return [*answers, function(X)], count


class Inner(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("items", ctypes.c_int * 2))


class Outer(ctypes.Structure):
    _fields_ = (("inner", Inner), ("y", ctypes.c_double))


def fields_of_structures(static):
    inner, outer = Inner(), Outer()
    inner.x, outer.y = 1, 0.5

    @static
    def function(x):
        return x * inner.x * outer.y

    first = function(X)
    inner.x = 3
    return first, function(X)


def a_property_of_a_library(static):
    thread = threading.Thread(target=print, name="a")

    @static
    def function(x):
        thread.name = thread.name + "b"
        return x * len(thread.name)

    answers = [function(X), function(X)]
    thread.name = "another"
    return [*answers, function(X)], thread.name


CHANGES = [
    *(the_forward_of_a_class, an_edited_graph, attributes_of_a_callable_object, a_property_in_place_of_a_value),
    *(the_bases_of_a_class, what_a_module_looks_up, fields_of_structures, a_property_of_a_library),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_seen(change):
    assert same(change(lambda function: function), change(captured))


def fields_inside_fields(static):
    outer = Outer()
    outer.inner.x, outer.inner.items[0] = 1, 2

    @static
    def function(x):
        return x * outer.inner.x

    @static
    def written(x):
        outer.inner.x += 1
        return x * outer.inner.x

    answers = [function(X), written(X), written(X)]
    outer.inner.x = 9
    return [*answers, function(X), written(X)], outer.inner.x


def methods_of_objects_in_c(static):
    waiting, base = queue.SimpleQueue[int](), sqlite3.connect(":memory:")
    base.execute("create table numbers (number)")

    @static
    def put(x):
        waiting.put(1)
        return x

    @static
    def insert(x):
        base.execute("insert into numbers values (?)", (1,))
        return x

    for function in (put, insert, put, insert):
        function(X)
    return waiting.qsize(), base.execute("select count(*) from numbers").fetchone()


@pytest.mark.parametrize("change", [fields_inside_fields, methods_of_objects_in_c])
def test_what_is_refused_is_done_once(change):
    with pytest.warns(d2s.FallbackWarning, match="D2S3"):
        assert same(change(lambda function: function), change(d2s.to_static))


class Scaling(nn.Module):
    scale = 2.0

    def forward(self, x):
        return x * self.scale


def with_control_flow(x, model):
    for _ in range(3):
        if x.sum() > 10:
            break
        x = x + model(x)
    return x


def that_counts(x, model):
    model.scale += 1
    return model(x)


def that_is_refused(x, model):
    return x * eval("model.scale")


def that_raises(x, model):
    raise ValueError(model.scale)


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("function", [with_control_flow, that_counts, that_is_refused, that_raises])
def test_what_was_read_is_let_go(function):
    static = d2s.to_static(function)
    gc.disable()
    try:
        for sign in (1, -1):
            model = Scaling()
            reference = weakref.ref(model)
            with contextlib.suppress(ValueError):
                static(sign * X, model)
            del model
            assert reference() is None
    finally:
        gc.enable()


def test_a_reference_to_what_is_gone():
    model = Scaling()
    reference = weakref.ref(model)

    @captured
    def function(x):
        found = reference()
        return x if found is None else found(x)

    assert same(function(X), X * 2)
    del model
    assert same(function(X), X)

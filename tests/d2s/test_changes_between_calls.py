"""Things that change between two calls: each is done once with functions as they are, and once with static ones."""

import enum
import logging
import os
import platform
import types
from typing import Any, NamedTuple, cast

import numpy as np
import pytest
import torch
from compare import outcome, same

import d2s

X = torch.ones(2)


def captured(function):
    return d2s.to_static(function, full_graph=True)


def members_of_an_enum(static):
    class Kind(enum.Enum):
        A = "a"
        B = "b"

    of_a, of_b = cast(Any, Kind.A), cast(Any, Kind.B)
    of_a.count, of_b.scale = 0, 1.0

    @static
    def function(x):
        Kind.A.count += 1  # type: ignore[attr-defined]
        return x * Kind.A.count * Kind.B.scale  # type: ignore[attr-defined]

    first = [function(X), function(X)]
    of_b.scale = 5.0
    return [*first, function(X)], of_a.count


def defaults_of_a_named_tuple(static):
    class Pair(NamedTuple):
        value: float = 1.0

    function = static(lambda x: x * Pair().value)
    first = function(X)
    Pair.__new__.__defaults__ = (5.0,)
    return first, function(X)


class Methods:
    @staticmethod
    def of_none(k=1.0):
        return k

    @classmethod
    def of_class(cls, k=1.0):
        return k

    @property
    def told(self):
        return 1.0

    def __new__(cls, k=1.0):
        made: Any = object.__new__(cls)
        made.k = k
        return made


def functions_in_descriptors(static):
    cls: Any = type("Copy", (Methods,), {name: copied(item) for name, item in vars(Methods).items()})
    thing = cls()
    function = static(lambda x: x * torch.tensor([thing.of_none(), cls.of_class(), thing.told, cls().k])[:, None])
    answers = [function(X)]
    vars(cls)["of_none"].__func__.__defaults__ = (2.0,)
    answers.append(function(X))
    vars(cls)["of_class"].__func__.__defaults__ = (3.0,)
    answers.append(function(X))
    vars(cls)["told"].fget.__code__ = (lambda self: 4.0).__code__
    answers.append(function(X))
    vars(cls)["__new__"].__func__.__defaults__ = (5.0,)
    return [*answers, function(X)]


def copied(item):
    """An entry of a class, with a function of its own."""
    if isinstance(item, staticmethod | classmethod):
        return type(item)(copied(item.__func__))
    if isinstance(item, property):
        return property(copied(item.fget))
    if isinstance(item, types.FunctionType):
        return types.FunctionType(item.__code__, item.__globals__, item.__name__, item.__defaults__, item.__closure__)
    return item


def settings_of_numpy(static):
    zero = np.float64(0)
    function = static(lambda x: (x * float(np.float64(1) / zero), np.geterr()["divide"], np.get_printoptions()))
    with np.errstate(divide="ignore"), np.printoptions(precision=8):
        first = function(X)
    with np.errstate(divide="raise"), np.printoptions(precision=3), pytest.raises(FloatingPointError):
        function(X)
    return first


def settings_of_torch(static):
    function = static(
        lambda x: (x, torch.backends.cuda.flash_sdp_enabled(), torch.utils.deterministic.fill_uninitialized_memory)
    )
    answers = [function(X)]
    torch.backends.cuda.enable_flash_sdp(False)
    torch.utils.deterministic.fill_uninitialized_memory = False
    answers.append(function(X))
    torch.backends.cuda.enable_flash_sdp(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    return answers


def levels_of_loggers(static):
    log = logging.getLogger("d2s.test.levels")
    function = static(lambda x: (x * 2 if log.isEnabledFor(logging.WARNING) else x, log.getEffectiveLevel()))
    answers = [function(X)]
    logging.disable(logging.CRITICAL)
    answers.append(function(X))
    logging.disable(logging.NOTSET)
    log.setLevel(logging.ERROR)
    answers.append(function(X))
    log.setLevel(logging.NOTSET)
    return answers


def attributes_of_all_tensors(static):
    function = static(lambda x: (hasattr(x, "d2s_test"), getattr(x, "d2s_test", 2)))
    answers = [function(X)]
    torch.Tensor.d2s_test = 1
    answers.append(function(X))
    del torch.Tensor.d2s_test
    return answers


def attributes_of_a_static_function(static):
    @static
    def function(x):
        function.calls = getattr(function, "calls", 0) + 1
        function.seen.append(function.calls)
        return x * function.scale if hasattr(function, "scale") else x

    function.seen = []
    answers = [function(X), function(X)]
    for scale in (2.0, 3.0):
        function.scale = scale
        answers.append(function(X))
    function.calls, function.seen = 7, []
    answers.append(function(X))
    del function.scale
    return [*answers, function(X)], function.calls, function.seen


def what_a_metaclass_hides(static):
    class Meta(type):
        @property
        def fields(cls):
            return cast(Any, cls).names

    class Thing(metaclass=Meta):
        names = ["a"]

        @property
        def fields(self):
            return [*self.names, "own"]

    thing, kind = Thing(), cast(Any, Thing)
    function = static(lambda x: (x * len(kind.fields), thing.fields))
    answers = [function(X)]
    Thing.names = ["a", "b"]
    return [*answers, function(X)]


def the_environment(static):
    function = static(lambda x: (x * 2 if os.getenv("D2S_TEST", "0") == "1" else x, platform.system()))
    answers = [function(X)]
    os.environ["D2S_TEST"] = "1"
    answers.append(function(X))
    del os.environ["D2S_TEST"]
    return [*answers, function(X)]


def variables_that_are_not_bound_yet(static):
    @static
    def function(x):
        nonlocal count  # type: ignore[misc]
        try:
            count += 1
        except NameError:
            count = 0
        return helper(x) * count

    answers = [outcome(function, X)]

    def helper(x):
        return x * 2

    answers += [function(X), function(X)]
    count = 50
    return [*answers, function(X)], count


class Text(str):
    pass


def attributes_of_values(static):
    text: Any = Text("a")
    text.count_ = 0

    @static
    def function(x):
        text.count_ += 1
        return x * text.count_

    answers = [function(X), function(X)]
    text.count_ = 7
    return [*answers, function(X)], text.count_


CHANGES = [
    *(members_of_an_enum, defaults_of_a_named_tuple, functions_in_descriptors, settings_of_numpy),
    *(settings_of_torch, levels_of_loggers, attributes_of_all_tensors, attributes_of_a_static_function),
    *(what_a_metaclass_hides, the_environment, variables_that_are_not_bound_yet, attributes_of_values),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_seen(change):
    assert same(change(lambda function: function), change(captured))


@pytest.mark.parametrize("call", [((), {}), ((1, 2), {}), ((1,), {"q": 1}), ((1,), {"k": 1, "x": 2})])
def test_arguments_that_do_not_fit(call):
    def function(x, *, k):
        return x

    args, kwargs = call
    messages = []
    for each in (function, captured(function)):
        with pytest.raises(TypeError) as caught:
            each(*args, **kwargs)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_a_setter_that_is_taken_away():
    class Thing:
        k = 1.0

        def set_k(self, number):
            self.k = number

        value = property(lambda self: self.k, set_k)

    thing = Thing()

    @d2s.to_static
    def function(x, number):
        thing.value = number
        return x * thing.value

    assert same([function(X, 3.0), function(X, 4.0)], [X * 3, X * 4])
    Thing.value = property(lambda self: self.k)
    with pytest.raises(AttributeError):
        function(X, 5.0)
    assert thing.k == 4.0

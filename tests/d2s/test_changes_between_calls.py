"""Things that change between two calls: each is done once with functions as they are, and once with static ones."""

import builtins
import datetime
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


def defaults_of_a_static_function(static):
    @static
    def function(x, k=2.0, *, seen=[]):  # noqa: B006
        seen.append(k)
        return x * k * len(seen)

    first = function(X), list(function.__kwdefaults__["seen"])
    function.__defaults__ = (5.0,)
    function.__kwdefaults__ = {"seen": [1]}
    return first, function(X), function.__defaults__, function.__kwdefaults__


def names_in_builtins(static):
    name: Any = "test_of_d2s"
    names = vars(builtins)
    names[name] = len
    try:
        function = static(lambda x: x * test_of_d2s("abc"))  # type: ignore[name-defined] # noqa: F821
        first = function(X)
        names[name] = lambda text: 100
        return first, function(X)
    finally:
        del names[name]


def the_zone_of_a_date(static):
    class Zone(datetime.tzinfo):
        hours = 1

        def utcoffset(self, when):
            return datetime.timedelta(hours=self.hours)

    zone = cast(Any, Zone)()
    date: Any = datetime.datetime(2020, 1, 1, tzinfo=zone)
    utc = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    function = static(lambda x: (x * (utc - date).total_seconds(), x * date.utcoffset().seconds, str(date)))
    first = function(X)
    zone.hours = 2
    return first, function(X)


def how_numpy_prints(static):
    array = np.array([1.23456789])
    function = static(lambda x: (x, str(array), f"{array}", repr([array])))
    first = function(X)
    with np.printoptions(precision=2):
        return first, function(X)


def attributes_of_tensors_of_a_class(static):
    class Marked(torch.Tensor):
        scale = 2

    function = static(lambda x: x.as_subclass(torch.Tensor) * x.scale)
    marked: Any = torch.ones(2).as_subclass(Marked)
    first = function(marked)
    marked.scale = 9
    return first, function(marked)


def operators_of_tensors(static):
    function, answers = static(lambda x: (x * 2, x @ x, -x, x**2)), []
    for name in ("__mul__", "__matmul__", "__neg__", "__pow__"):
        usual = vars(torch.Tensor).get(name)
        answers.append(function(X))
        setattr(torch.Tensor, name, lambda tensor, *others: tensor + len(others) + 7)
        answers.append(function(X))
        if usual is None:
            delattr(torch.Tensor, name)
        else:
            setattr(torch.Tensor, name, usual)
    return [*answers, function(X)]


def the_call_of_modules(static):
    module, calls = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Tanh()), []
    function = static(lambda x: module(x))
    usual = torch.nn.Module.__call__

    def call(self, x):
        calls.append(type(self).__name__)
        return usual(self, x) * 10

    answers = [function(X)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.Module, "__call__", call)
        answers += [function(X), function(X)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.ReLU, "__call__", lambda self, x: x + 100, raising=False)
        answers.append(function(X))
    return [*answers, function(X)], calls


def what_holds_itself(static):
    items: list[Any] = [1]
    items.append(items)
    table: dict[str, Any] = {}
    table["table"] = table
    return static(lambda x: (x, repr(items), str(table)))(X)


def hooks_around_the_call(static):
    packed = []

    def pack(tensor):
        packed.append(type(tensor))
        return tensor

    function, x = static(lambda x: (x * x * 2).exp().sum()), torch.ones(2, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        return function(x), packed


CHANGES = [
    *(
        defaults_of_a_static_function,
        names_in_builtins,
        the_zone_of_a_date,
        how_numpy_prints,
        attributes_of_tensors_of_a_class,
    ),
    *(operators_of_tensors, the_call_of_modules, what_holds_itself, hooks_around_the_call),
    *(members_of_an_enum, defaults_of_a_named_tuple, functions_in_descriptors, settings_of_numpy),
    *(settings_of_torch, levels_of_loggers, attributes_of_all_tensors, attributes_of_a_static_function),
    *(the_environment, variables_that_are_not_bound_yet, attributes_of_values),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_is_seen(change):
    assert same(change(lambda function: function), change(captured))


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
def test_what_a_metaclass_hides():
    # From Python 3.12 on it is refused: the property can't be replaced by its converted form.
    assert same(what_a_metaclass_hides(lambda function: function), what_a_metaclass_hides(d2s.to_static))


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

"""State that no plain attribute leads to: in slots, on tensors, methods and descriptors, in modules found by name."""

import dataclasses
import importlib
import operator
import sys
import types

import pytest
import torch
from compare import same

import d2s


class Box:
    def __init__(self, n):
        self.n = n


@dataclasses.dataclass(slots=True)
class Slotted:
    items: list
    box: Box


class Counting:
    """A descriptor that keeps something in itself."""

    sets = 0

    def __get__(self, thing, cls):
        return thing.kept

    def __set__(self, thing, value):
        self.sets += 1
        thing.kept = value


def counted(function):
    def wrapper(*args):
        wrapper.calls += 1  # type: ignore[attr-defined]
        return function(*args)

    wrapper.calls = 0  # type: ignore[attr-defined]
    return wrapper


class Model:
    def __init__(self):
        self.slotted = Slotted([], Box(1))
        self.tensor = torch.ones(2)
        self.tensor.items, self.tensor.box = [], Box(1)


def slots(model, x):
    model.slotted.items.append(1)
    return x * len(model.slotted.items) * model.slotted.box.n


def on_tensors(model, x):
    model.tensor.items.append(1)
    return x * len(model.tensor.items) * model.tensor.box.n


def change_boxes(model):
    model.slotted.box.n = model.tensor.box.n = 5


def change_holders(model):
    model.slotted.box = model.tensor.box = Box(7)


def method_and_descriptor():
    class Local:
        value = Counting()

        @counted
        def method(self, x):
            Local.method.asked = getattr(Local.method, "asked", 0) + 1
            self.value = x
            return x * Local.method.calls

    thing = Local()
    return thing.method, lambda: (Local.method.calls, Local.method.asked, vars(Local)["value"].sets)


@pytest.mark.parametrize("function", [slots, on_tensors])
def test_in_objects(function):
    found = []
    for static in (False, True):
        model = Model()

        def bound(x, model=model):
            return function(model, x)

        thing = d2s.to_static(bound, full_graph=True) if static else bound
        answers = [thing(torch.ones(2)), thing(torch.ones(2))]
        for change in (change_boxes, change_holders):
            change(model)
            answers.append(thing(torch.ones(2)))
        found.append((answers, model.slotted.items, model.tensor.items))
    assert same(found[0], found[1])
    assert not torch.equal(found[0][0][2], found[0][0][3])


def test_in_a_class():
    found = []
    for static in (False, True):
        method, state = method_and_descriptor()
        function = lambda x, method=method: method(x)  # noqa: E731
        thing = d2s.to_static(function, full_graph=True) if static else function
        found.append(([thing(torch.ones(2)) for _ in range(3)], state()))
    assert same(found[0], found[1])
    assert found[0][1] == (3, 3, 3)


def by_item(x):
    module = sys.modules["d2s_test_module"]
    return _used(module, x)


def by_get(x):
    return _used(sys.modules.get("d2s_test_module"), x)


def by_name(x):
    return _used(importlib.import_module("d2s_test_module"), x)


def by_statement(x):
    import d2s_test_module  # type: ignore[import-not-found]

    d2s_test_module.log.append(1)
    d2s_test_module.k += 1
    return x * d2s_test_module.k * d2s_test_module.box.n


def _used(module, x):
    module.log.append(1)
    module.k += 1
    return x * module.k * module.box.n


def _module():
    module = types.ModuleType("d2s_test_module")
    vars(module).update(__file__=__file__, log=[], k=1, box=Box(1))
    return module


@pytest.mark.parametrize("function", [by_item, by_get, by_name, by_statement])
def test_modules_found_by_name(function, monkeypatch):
    found = []
    for thing in (function, d2s.to_static(function, full_graph=True)):
        first, second = _module(), _module()
        monkeypatch.setitem(sys.modules, "d2s_test_module", first)
        answers = [thing(torch.ones(2)), thing(torch.ones(2))]
        vars(first)["box"].n = 5
        answers.append(thing(torch.ones(2)))
        monkeypatch.setitem(sys.modules, "d2s_test_module", second)
        answers.append(thing(torch.ones(2)))
        found.append((answers, *([vars(module)[name] for name in ("log", "k")] for module in (first, second))))
    assert same(found[0], found[1])


NAMES, OBJECTS = ["k"], ["box"]


def computed(module, x):
    return [x * getattr(module, name) for name in NAMES]


def computed_deep(module, x):
    return [x * getattr(module, name).n for name in OBJECTS]


def with_default(module, x):
    return [x * getattr(module, name, 7) for name in NAMES], [hasattr(module, f"{name}_") for name in NAMES]


def by_getter(module, x):
    return x * operator.attrgetter("box.n")(module)


def all_names(module, x):
    return x * len([name for name in dir(module) if not name.startswith("_")]), len(vars(module))


@pytest.mark.parametrize("function", [computed, computed_deep, with_default, by_getter, all_names])
def test_computed_names(function):
    found = []
    for static in (False, True):
        module = _module()
        bound = lambda x, module=module: function(module, x)  # noqa: E731
        thing = d2s.to_static(bound, full_graph=True) if static else bound
        answers = [thing(torch.ones(2))]
        for change in ({"k": 5}, {"box": Box(6)}, {"k_": 1}):
            vars(module).update(change)
            answers.append(thing(torch.ones(2)))
        found.append(answers)
    assert same(found[0], found[1])


def _family():
    class Base:
        rate = 1

        @property
        def part(self):
            return 3

        @classmethod
        def made(cls):
            return 2

        def step(self, x):
            return x * 2

    class Derived(Base):
        rate = 5

        def step(self, x):
            return super().step(x) + super(Derived, self).part + super().made() * super().rate

    return Base, Derived


CHANGES = {
    "step": lambda self, x: x * 10,
    "part": property(lambda self: 30),
    "made": classmethod(lambda cls: 20),
    "rate": 9,
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_super_finds(name):
    found = []
    for static in (False, True):
        base, derived = _family()
        thing = derived()
        function = lambda x, thing=thing: thing.step(x)  # noqa: E731
        function = d2s.to_static(function, full_graph=True) if static else function
        answers = [function(torch.ones(2))]
        setattr(base, name, CHANGES[name])
        found.append([*answers, function(torch.ones(2))])
    assert same(found[0], found[1])
    assert not torch.equal(found[0][0], found[0][1])

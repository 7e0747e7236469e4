"""Which variable each value is in: the one that it had in the user's code, as far as that holds what it should.

In a program every value is a name of its own; in Python the values of a variable follow each other. Values may share
a variable if it holds the right one wherever it is read. `holding` finds where it does not.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection, Iterator

from d2s.runtime.ir.joins import joined_values
from d2s.runtime.ir.program import Call, If, Op, Program, PythonType, Value, is_tensor, walk_ops
from d2s.runtime.source.holding import first_wrong_read
from d2s.runtime.source.loops import For, assigned_by

# A value and one that it becomes where paths join.
_Join = tuple[Value, Value]
_BY_TYPE = {bool: "flag", int: "number", float: "number", str: "text", list: "items", dict: "table", set: "table"}
_NOT_VARIABLES = frozenset({*keyword.kwlist, *dir(builtins)})


def variables(
    program: Program, given: dict[Value, str], inlined: Collection[Value], reserved: Collection[str]
) -> dict[Value, str]:
    """The variable of every value that has one: not those that are inlined.

    `given` are those of the inputs, as far as they are in variables; nothing is called as what is `reserved`.
    """
    taken = {*reserved, *given.values()}
    joins = list(_joins(program))
    called = _called(program, joins, inlined, set(given.values()), taken)
    names = {value: name for value, name in called.items() if value not in inlined} | given
    while (wrong := first_wrong_read(program, names, inlined)) is not None:
        _split(joins, names, wrong, given, taken)
    return _rejoined(program, joins, names, inlined, set(given.values()))


def _rejoined(
    program: Program, joins: list[_Join], names: dict[Value, str], inlined: Collection[Value], arguments: set[str]
) -> dict[Value, str]:
    """The same with one variable for values that become each other, where the user had no two and it holds both."""
    own = {*program.names.values(), *map(_stem, arguments)}
    for join in joins:
        shared_by = {names.get(value, "") for value in join}
        kept, *others = sorted(shared_by, key=lambda name: (name not in arguments, _stem(name) not in own, name))
        stems = {_stem(name) for name in shared_by}
        if not others or "" in shared_by or others[0] in arguments or len(stems & own) > 1:
            continue
        shared = {value: kept if name == others[0] else name for value, name in names.items()}
        if first_wrong_read(program, shared, inlined) is None:
            names = shared
    return names


def _called(
    program: Program, joins: list[_Join], inlined: Collection[Value], arguments: set[str], taken: set[str]
) -> dict[Value, str]:
    """What each value is called: as the user did, or as what it becomes, or by the op that makes it."""
    defined = dict(_defined(program))
    users = {value: name for value, name in program.names.items() if value in defined}
    allowed = {name: name if name in arguments else free_name(name, taken) for name in dict.fromkeys(users.values())}
    called = {value: allowed[name] for value, name in users.items()}
    for value, op in defined.items():
        if value not in called and value not in inlined:
            unnamed = defined.keys() - called.keys() - set(inlined)
            called |= dict.fromkeys(_web(joins, value, unnamed), free_name(_described(value, op), taken))
    return called


def _joins(program: Program) -> Iterator[_Join]:
    for op in walk_ops(program.body):
        for value, sources in joined_values(op):
            yield from ((value, source) for source in sources if isinstance(source, Value))


def _defined(program: Program) -> Iterator[tuple[Value, Op]]:
    for op in walk_ops(program.body):
        yield from ((value, op) for value in assigned_by(op))


def _described(value: Value, op: Op) -> str:
    """A name for a value that the user had none for."""
    if isinstance(op, For) and value == op.item:
        return "i" if value.type == PythonType(int) else "row"
    if isinstance(value.type, PythonType) and not is_tensor(value.type):
        return _BY_TYPE.get(value.type.python_type, "thing")
    if isinstance(op, Call):
        name = getattr(op.target, "__name__", "").strip("_")
        return name if name.isidentifier() and len(name) > 2 else "tensor"
    return "chosen" if isinstance(op, If) else "carried"


def free_name(wanted: str, taken: set[str]) -> str:
    """A name that nothing has yet; it is taken then."""
    stem = f"{wanted}_" if wanted in _NOT_VARIABLES else wanted
    name, number = stem, 1
    while name in taken:
        number += 1
        name = f"{stem.rstrip('_')}_{number}"
    taken.add(name)
    return name


def _split(
    joins: list[_Join], names: dict[Value, str], wrong: Value, given: Collection[Value], taken: set[str]
) -> None:
    """Have fewer values in the variable of one that was read where it is not in it."""
    sharing = {value for value, name in names.items() if name == names[wrong]}
    assert len(sharing) > 1, f"{wrong} is not where it is read"
    webs = [_web(joins, wrong, sharing), _web(_of_ops(joins), wrong, sharing), {wrong}, sharing - set(given)]
    web = next(web for web in webs if (web and not web & set(given) and web != sharing) or web is webs[-1])
    names.update(dict.fromkeys(web, free_name(_stem(names[wrong]), taken)))


def _stem(name: str) -> str:
    """What a variable was called before others of that name were split off."""
    return re.sub(r"_\d+$", "", name)


def _of_ops(joins: list[_Join]) -> list[_Join]:
    """The joins of what ops give, without those of what is joined of others already."""
    joined = {value for value, _ in joins}
    return [join for join in joins if join[1] not in joined]


def _web(joins: list[_Join], start: Value, among: set[Value]) -> set[Value]:
    """The values that become each other where paths join."""
    edges = [join for join in joins if set(join) <= among]
    web = {start}
    while more := {one for edge in edges if web & set(edge) for one in edge} - web:
        web |= more
    return web

"""Dicts and sets with keys that only the run knows: numbers of tensors, texts that a branch chooses."""

from __future__ import annotations

import collections

import torch
from language import feature

A, B, C = torch.tensor([1, 2, 2, 3]), torch.tensor([4, 4, 4, 5]), torch.tensor([-1, 2, 3, 1])


@feature("a dict filled in a loop, its length and items", A, B, C, ways=3)
def filled(tokens):
    first = {}
    for position, token in enumerate(tokens.tolist()):
        if token not in first:
            first[token] = position
    return first, len(first), [k * v for k, v in first.items()], torch.tensor([first[t] for t in tokens.tolist()])


@feature("a Counter: counts, most common, missing keys, arithmetic of its values", A, B, C, ways=3)
def counted(tokens):
    counts = collections.Counter(tokens.tolist())
    counts[7] += 2
    return dict(counts), counts.most_common(2), sum(counts.values()), counts[99], max(counts, key=counts.get)


@feature("a defaultdict of lists, of sets, of numbers", A, B, C, ways=3)
def grouped(tokens):
    lists = collections.defaultdict(list)
    sets = collections.defaultdict(set)
    sums = collections.defaultdict(int)
    for position, token in enumerate(tokens.tolist()):
        kind = "even" if token % 2 == 0 else "odd"
        lists[kind].append(position)
        sets[token].add(position % 2)
        sums[kind] += token
    return dict(lists), dict(sets), sums, len(lists)


@feature("sets: made, added to, asked, combined", A, B, C, ways=3)
def sets(tokens):
    seen = set()
    for token in tokens.tolist():
        if token in seen:
            break
        seen.add(token)
    every = set(tokens.tolist())
    return seen, every - seen, every | {9}, {1, 2} - every, {2, 3} & every, every >= seen, len(every), sorted(every)


@feature("dict and set comprehensions, and a display, with keys of the run", A, B, C, ways=3)
def comprehensions(tokens):
    double = {int(t): t * 2 for t in tokens}
    other = {int(tokens[0]): 1, int(tokens[3]): 2}
    return double, {v: k for k, v in other.items()}, {int(t) % 3 for t in tokens if t > 1}, list(double.values())


@feature("get, pop, setdefault, update and del with keys of the run", A, B, C, ways=3)
def methods(tokens):
    table = dict(zip(tokens.tolist(), range(4), strict=True))
    first, last = int(tokens[0]), int(tokens[-1])
    found = table.get(first, -1), table.get(77, -1), table.pop(last), table.pop(55, None), table.setdefault(8, 9)
    table.update({5: 6}, **{})
    del table[first if first != last else 8]
    return found, table, table or "empty", {1: "one", 2: "two"}.get(first, "many")


@feature("a key that a branch adds, asked for afterwards", torch.ones(2), -torch.ones(2))
def added(x):
    table = {"a": x}
    if x.sum() > 0:
        table["b"] = x * 2
    return table, "b" in table, len(table), table.get("b")


@feature("a dict with keys of the run as keyword arguments", torch.ones(2), -torch.ones(2))
def keywords(x):
    def given(**named):
        return sorted(named.items())

    return given(**{"high" if x.sum() > 0 else "low": x})


@feature("a text that a branch chooses, where it must be known", torch.ones(2), -torch.ones(2))
def chosen(x):
    mode = "sum" if x.sum() > 0 else "mean"
    return (
        getattr(torch, mode)(x),
        torch.nn.functional.mse_loss(x, x + 2, reduction=mode),
        mode,
        mode == "sum",
        [*mode],
    )

"""Lists whose items are written, removed and ordered at positions that only the run knows."""

from __future__ import annotations

import functools

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])


@feature("an item written at a position of the run, in lists short and long, and nested", X, -X, X + 1, ways=3)
def written(x):
    short, long, nested = [x, x * 2, x * 3], [0] * 40, [[0] * 3 for _ in range(3)]
    position = int(x.sum()) % 3
    short[position] = x * 100
    short[-position - 1] = short[position] + 1
    for value in x.abs().int().tolist():
        long[value] += 1
    nested[position][int(x[2].abs()) % 3] = 7
    return short, long, nested


@feature("an item written out of range for some inputs, caught", X, X * 3)
def out_of_range(x):
    items = [1, 2, 3]
    try:
        items[int(x.sum())] = 5
    except IndexError as error:
        return str(error)
    return items


@feature("del, pop and insert at positions of the run", X, -X, X + 1, ways=3)
def removed(x):
    items = [1, 2, 3, 4]
    del items[int(x[0].abs()) % 3]
    taken = items.pop(int(x[2].abs()) % 2)
    items.insert(int(x[1].abs()) % 3, 9)
    return items, taken


@feature("a parent list that roots are looked up in", X, -X)
def union_find(x):
    parents = list(range(4))

    def find(node):
        while parents[node] != node:
            node = parents[node]
        return node

    for node in range(3):
        if x[node] > 0:
            parents[find(node)] = find(node + 1)
    return [find(node) for node in range(4)]


@feature("sort and sorted by numbers of the run, by keys, reversed, by a comparison", X, -X)
def ordered(x):
    values = x.tolist()
    values.sort(reverse=True)
    pairs = sorted(zip(x.tolist(), ["a", "b", "c"], strict=True), key=lambda pair: -pair[0])
    table = {"a": x[0].item(), "b": x[1].item(), "c": 0.5}
    by_comparison = sorted(x.tolist(), key=functools.cmp_to_key(lambda a, b: (a > b) - (a < b)))
    return values, pairs, sorted(table, key=table.get), sorted(x, key=lambda v: -v), by_comparison


@feature("a beam search over lists, which ends at a token", X, -X, X * 0 + 1, ways=3)
def beam_search(x):
    scores = torch.log_softmax(torch.outer(x, x), -1)
    beams = [(0.0, [0])]
    for step in range(3):
        candidates = []
        for score, tokens in beams:
            for token in range(3):
                candidates.append((score + scores[step, token].item(), [*tokens, token]))
        candidates.sort(key=lambda candidate: -candidate[0])
        beams = candidates[:2]
        if beams[0][1][-1] == 2:
            break
    return beams[0][1], len(beams)

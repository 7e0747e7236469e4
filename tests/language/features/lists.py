"""Lists, also those whose length only the run knows."""

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0, -4.0])


def t(*values):
    return torch.tensor(values)


@feature("a list that grows in a `while`, stacked afterwards", t(4.0, 1.0), t(9.0, 1.0), t(1.5, 0.0), grad=True)
def grows_in_while(x):
    out = []
    while x.sum() > 1:
        x = x / 2
        out.append(x)
    return torch.stack(out), len(out), out[-1], out


@feature("a list that grows under a condition", X, -X - 2, X - 9, grad=True)
def grows_in_if(x):
    kept = []
    for value in x:
        if value > 0:
            kept.append(value * 2)
    return torch.stack(kept) if kept else x[:0], len(kept), kept


@feature("two names for one list that grows", X, X - 2)
def two_names(x):
    a = []
    b = a
    for value in x:
        if value > 0:
            a.append(value)
        else:
            b.insert(0, value)
    return a, b, a is b, len(b)


@feature("a list that is replaced in each trip", t(3.0, 1.0), t(20.0, 1.0))
def replaced_in_loop(x):
    beams = [x]
    while beams[0].sum() < 60:
        new = []
        for beam in beams:
            new.append(beam * 2)
            if beam[0] > 3:
                new.append(beam + 1)
        beams = new[:4]
    return torch.stack(beams), len(beams)


@feature("`+=`, `+` and `extend` of lists in a loop", t(3.0, 1.0), t(20.0, 1.0))
def plus_in_loop(x):
    a, b, c = [], [x], []
    while x.sum() > 1:
        x = x / 3
        a += [x]
        b = b + [x, -x]
        c.extend([x, x])
    return a, b, c, len(a) + len(b) + len(c)


@feature("a list as a stack of numbers", t(5), t(12), t(0))
def stack_of_numbers(n):
    left = int(n)
    digits = []
    while left > 0:
        digits.append(left % 2)
        left = left // 2
    text = 0
    while digits:
        text = text * 10 + digits.pop()
    return text, digits


@feature("a list of tuples", t(4.0, 1.0), t(9.0, 1.0))
def of_tuples(x):
    trace = []
    steps = 0
    while x.sum() > 1:
        x = x / 2
        steps += 1
        trace.append((x.sum(), steps))
    total = x.sum()
    for value, step in trace:
        total = total + value * step
    return trace, total, trace[-1][1]


@feature("iteration over a list of unknown length, with `enumerate`, `zip` and `reversed`", X, -X - 2)
def iterated(x):
    kept = []
    for value in x:
        if value > 0:
            kept.append(value)
    total = x.sum()
    for i, value in enumerate(kept):
        total = total + i * value
    for a, b in zip(kept, reversed(kept)):
        total = total * 2 + a - b
    return total


@feature("a queue that a loop fills and empties", t(3.0), t(0.5))
def queue(x):
    pending = [x]
    total = torch.zeros(())
    while len(pending) > 0:
        value = pending.pop(0)
        total = total + value
        if value > 1:
            pending.append(value / 2)
            pending.append(value / 3)
    return total, pending


@feature("items and slices of a list assigned and deleted", X, -X - 2)
def assigned_items(x):
    kept = []
    for value in x:
        if value < 2:
            kept.append(value)
    kept[0] = kept[0] * 10
    kept[1:] = [x[0], x[1]]
    del kept[-1]
    kept.reverse()
    return kept, kept[::2], kept + [x[0]], kept * 2


@feature("`cat` of rows, a tensor made of numbers, and positions in a list", X, -X - 2)
def given_to_torch(x):
    rows, sizes = [], []
    for i, value in enumerate(x):
        if value > 0:
            rows.append(x[None] * value)
            sizes.append(i)
    if not rows:
        return None
    return torch.cat(rows), torch.tensor(sizes), x[sizes], sum(sizes)


@feature("nested lists that grow", X, -X - 2)
def nested(x):
    groups = [[], []]
    for value in x:
        if value > 0:
            groups[0].append(value)
        else:
            groups[1].append(value)
    return groups, len(groups[0]), [len(group) for group in groups]


@feature("a list of lists whose number only the run knows", X, -X - 2)
def list_of_lists(x):
    groups = []
    for value in x:
        if value > 0 or not groups:
            groups.append([value])
        else:
            groups[-1].append(value)
    return groups, len(groups)


@feature("`min`, `max`, `sum`, `any`, `all` and `sorted` of a list of the run", X, -X - 2)
def folded(x):
    kept = []
    for value in x:
        if value < 2:
            kept.append(value.item())
    return min(kept), max(kept), sum(kept), sorted(kept), any(v > 0 for v in kept), all([v > 0 for v in kept])


@feature("a list in a method of a module", torch.ones(2, 3), -torch.ones(2, 3) * 5, grad=True)
class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.GRUCell(3, 3), nn.Linear(3, 3)

    def step(self, h, outputs):
        h = self.cell(h)
        outputs.append(self.out(h))
        return h

    def forward(self, h):
        outputs = []
        while h.abs().sum() > 1 and len(outputs) < 5:
            h = self.step(h, outputs)
        if len(outputs) == 0:
            return h
        return torch.stack(outputs, dim=1)


@feature("a list passed to a function that reads it", X, X - 2)
def passed_on(x):
    kept = [v for v in x if v > 0]
    mean = lambda items: sum(items) / len(items)
    return mean(kept)


@feature("a list of modules, chosen by tensors", X, X - 2)
class Chosen(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

    def forward(self, x):
        outs = []
        for layer in self.layers:
            y = layer(x)
            if y.sum() > 0:
                outs.append(y)
        return torch.stack(outs).mean(0) if outs else x


@feature("`index`, `count`, `in` and `remove` of numbers in a list", t(1, 2, 2, 3), t(3, 3, 1, 2))
def searched(x):
    seen = []
    for value in x.tolist():
        if value not in seen:
            seen.append(value)
    where = seen.index(2)
    seen.remove(3)
    return seen, where, seen.count(1), 2 in seen


@feature("a tuple that grows in a loop", t(4.0, 1.0), t(9.0, 1.0))
def tuple_grows(x):
    states = ()
    while x.sum() > 1:
        x = x / 2
        states = states + (x,)
    return states, len(states), states[-1]


@feature("unpacking a list of the run", X, -X)
def unpacked(x):
    kept = []
    for value in x:
        if value > 0:
            kept.append(value)
    first, second = kept
    head, *rest = kept
    return first - second, head, rest

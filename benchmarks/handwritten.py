"""The models as one would write them for Inductor by hand, on torch's `while_loop` and `cond`.

Each function takes the model, for its parameters, and the model's inputs. Those operators allow neither Python
numbers that a loop changes, nor writes, nor results that are what went in: hence buffers that are copied, and clones.
"""

from __future__ import annotations

import torch
from adaptive_rnn import AdaptiveRNN
from models.decoding import Beam, Greedy
from models.networks import EarlyExit, Experts
from models.solvers import AdaptiveODE, Bisection, Newton
from models.structures import Suppression, Tree, Viterbi
from torch import Tensor
from torch._higher_order_ops import cond, while_loop

Pair = tuple[Tensor, Tensor]


def adaptive_rnn(model: AdaptiveRNN, x: Tensor, confidence: Tensor) -> Pair:
    def test(h: Tensor, halted: Tensor, steps: Tensor) -> Tensor:
        return (halted.min() < confidence) & (steps < model.most)

    def body(h: Tensor, halted: Tensor, steps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = model.cell(x, h)
        p = torch.sigmoid(model.halt(h)).squeeze(-1)
        return torch.where(p.mean() < 0.45, h * 0.9, h), halted + p * (1 - halted), steps + 1

    zeros = torch.zeros(x.shape[0])
    start = (torch.zeros(x.shape[0], model.hidden), zeros, torch.zeros((), dtype=torch.long))
    h, _, steps = while_loop(test, body, start)
    return model.out(h), steps


def newton(model: Newton, x: Tensor) -> Tensor:
    target = model.scale(x).exp()

    def body(root: Tensor, change: Tensor) -> Pair:
        better = 0.5 * (root + target / root)
        return better, (better - root).abs().max()

    start = (torch.ones_like(target), torch.ones(()))
    return while_loop(lambda root, change: change > 1e-5, body, start)[0]


def bisection(model: Bisection, x: Tensor) -> Tensor:
    scores = model.scores(x)

    def body(low: Tensor, high: Tensor) -> Pair:
        middle = (low + high) / 2
        too_low = torch.relu(scores - middle).sum(dim=1, keepdim=True) > 1.0
        return torch.where(too_low, middle, low), torch.where(too_low, high, middle)

    start = (scores.min(dim=1, keepdim=True).values - 1.0, scores.max(dim=1, keepdim=True).values.clone())
    low, high = while_loop(lambda low, high: (high - low).max() > 1e-4, body, start)
    return torch.relu(scores - (low + high) / 2)


def adaptive_ode(model: AdaptiveODE, x: Tensor) -> Tensor:
    def body(x: Tensor, time: Tensor, step: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        step = torch.minimum(step, 1.0 - time)
        slope = model.field(x)
        euler = x + step * slope
        heun = x + 0.5 * step * (slope + model.field(euler))
        erred = (heun - euler).abs().max() > 0.001
        scaled = torch.where(erred, 0.5 * step, 1.5 * step)
        return torch.where(erred, x, heun), torch.where(erred, time, time + step), scaled

    return while_loop(lambda x, time, step: time < 1.0, body, (x.clone(), torch.zeros(()), torch.full((), 0.25)))[0]


def experts(model: Experts, x: Tensor) -> Tensor:
    scores = model.gate(x)
    least = scores.topk(model.chosen, dim=1).values[:, -1:]
    weights = torch.softmax(scores.masked_fill(scores < least, float("-inf")), dim=1)
    answer = torch.zeros_like(x)
    for index, expert in enumerate(model.experts):
        weight = weights[:, index : index + 1].clone()

        def used(answer: Tensor, weight: Tensor, expert: torch.nn.Module = expert) -> Tensor:
            return answer + weight * expert(x)

        answer = cond((weight > 0).any(), used, lambda answer, weight: answer.clone(), (answer, weight))
    return answer


def early_exit(model: EarlyExit, x: Tensor) -> Tensor:
    answer = torch.zeros(x.shape[0], model.classify.out_features)
    done = torch.zeros((), dtype=torch.bool)
    for block in model.blocks:

        def deeper(x: Tensor, answer: Tensor, block: torch.nn.Module = block) -> Pair:
            x = block(x)
            return x, torch.softmax(model.classify(x.mean(dim=1)), dim=1)

        x, answer = cond(done, lambda x, answer: (x.clone(), answer.clone()), deeper, (x, answer))
        done = answer.max(dim=1).values.min() > model.sure
    return answer


def viterbi(model: Viterbi, words: Tensor, length: Tensor) -> Pair:
    emissions = model.emit(words)
    places = torch.arange(emissions.shape[0])

    def forward(position: Tensor, score: Tensor, came_from: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        best = (score.unsqueeze(1) + model.transitions).max(dim=0)
        here = (places == position).unsqueeze(1)
        score = best.values + torch.where(here, emissions, 0.0).sum(0)
        return position + 1, score, torch.where(here, best.indices, came_from)

    start = (torch.ones((), dtype=torch.long), emissions[0].clone(), torch.zeros_like(emissions, dtype=torch.long))
    position, score, came_from = while_loop(lambda position, score, came_from: position < length, forward, start)
    tag = score.argmax()

    def backward(position: Tensor, tag: Tensor, tags: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        tag = came_from.index_select(0, position.view(1)).index_select(1, tag.view(1)).view(())
        return position - 1, tag, torch.where(places == position - 1, tag, tags)

    tags = torch.where(places == position - 1, tag, 0)
    _, _, tags = while_loop(lambda position, tag, tags: position > 0, backward, (position - 1, tag, tags))
    return score.max(), tags


def suppression(model: Suppression, features: Tensor) -> Pair:
    corner = model.corner(features)
    boxes = torch.cat([corner, corner + model.extent(features).exp()], dim=1)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    places = torch.arange(boxes.shape[0])

    def body(left: Tensor, keep: Tensor) -> Pair:
        best = left.argmax().view(1)
        box = boxes.index_select(0, best).view(4)
        width = (torch.minimum(boxes[:, 2], box[2]) - torch.maximum(boxes[:, 0], box[0])).clamp(min=0)
        height = (torch.minimum(boxes[:, 3], box[3]) - torch.maximum(boxes[:, 1], box[1])).clamp(min=0)
        both = width * height
        dropped = both > model.overlap * (areas + areas.index_select(0, best) - both)
        chosen = places == best
        return left.masked_fill(dropped | chosen, 0.0), keep | chosen

    start = (torch.sigmoid(model.score(features)[:, 0]), torch.zeros(boxes.shape[0], dtype=torch.bool))
    return boxes, while_loop(lambda left, keep: left.max() > 0, body, start)[1]


def tree(model: Tree, x: Tensor) -> Tensor:
    def body(node: Tensor, clear: Tensor) -> Pair:
        margin = torch.tanh((model.tests.index_select(0, node.view(1))[0] * x).sum())
        return torch.where(margin > 0, 2 * node + 2, 2 * node + 1), clear * margin.abs()

    start = (torch.zeros((), dtype=torch.long), torch.ones(()))
    node, clear = while_loop(lambda node, clear: node < model.inner, body, start)
    return clear * model.leaves.index_select(0, (node - model.inner).view(1))[0]


def greedy(model: Greedy, state: Tensor) -> Pair:
    places = torch.arange(model.longest)

    def test(state: Tensor, token: Tensor, tokens: Tensor, count: Tensor) -> Tensor:
        return (token[0] != model.end) & (count < model.longest)

    def body(state: Tensor, token: Tensor, tokens: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        state = model.cell(model.embed(token), state)
        token = model.score(state).argmax(dim=1)
        return state, token, torch.where(places == count, token, tokens), count + 1

    tokens = torch.full((model.longest,), model.end)
    start = (state.clone(), torch.ones(1, dtype=torch.long), tokens, torch.zeros((), dtype=torch.long))
    _, _, tokens, count = while_loop(test, body, start)
    return tokens, count


def beam(model: Beam, state: Tensor) -> Pair:
    places = torch.arange(model.longest)
    words = torch.arange(model.vocabulary)
    stay = torch.where(words == model.end, 0.0, float("-inf"))

    def test(states: Tensor, sentences: Tensor, scores: Tensor, tokens: Tensor, count: Tensor) -> Tensor:
        return (tokens[0] != model.end) & (count < model.longest)

    def body(states: Tensor, sentences: Tensor, scores: Tensor, tokens: Tensor, count: Tensor) -> tuple[Tensor, ...]:
        states = model.cell(model.embed(tokens), states)
        next_scores = torch.log_softmax(model.score(states), dim=1)
        next_scores = torch.where((tokens == model.end).unsqueeze(1), stay, next_scores)
        best = (scores.unsqueeze(1) + next_scores).flatten().topk(model.width)
        source, tokens = best.indices // model.vocabulary, best.indices % model.vocabulary
        sentences = torch.where(places == count, tokens.unsqueeze(1), sentences[source])
        return states[source], sentences, best.values, tokens, count + 1

    scores = torch.where(torch.arange(model.width) == 0, 0.0, float("-inf"))
    sentences = torch.full((model.width, model.longest), model.end)
    tokens = torch.ones(model.width, dtype=torch.long)
    start = (state.repeat(model.width, 1), sentences, scores, tokens, torch.zeros((), dtype=torch.long))
    _, sentences, scores, _, _ = while_loop(test, body, start)
    return sentences, scores

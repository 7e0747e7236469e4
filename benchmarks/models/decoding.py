"""Decoders that run until they emit the end of the sentence: greedy, and by beam search."""

from __future__ import annotations

import torch
from torch import nn


class Greedy(nn.Module):
    """The most likely token, again and again, until the end's is: a GRU cell over its own output."""

    def __init__(self, vocabulary: int, size: int, longest: int, end: int = 0):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, size)
        self.cell = nn.GRUCell(size, size)
        self.score = nn.Linear(size, vocabulary)
        self.longest = longest
        self.end = end

    def forward(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`state` of shape [1, size] to the tokens, [longest], and how many they are (0-dim)."""
        tokens = torch.full((self.longest,), self.end)
        token = torch.ones(1, dtype=torch.long)
        count = torch.zeros((), dtype=torch.long)
        while token[0] != self.end and count < self.longest:
            state = self.cell(self.embed(token), state)
            token = self.score(state).argmax(dim=1)
            tokens[count] = token[0]
            count = count + 1
        return tokens, count


class Beam(nn.Module):
    """The `width` most likely sentences, a token longer each time round, until the best of them has ended."""

    def __init__(self, vocabulary: int, size: int, longest: int, width: int, end: int = 0):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, size)
        self.cell = nn.GRUCell(size, size)
        self.score = nn.Linear(size, vocabulary)
        self.vocabulary = vocabulary
        self.longest = longest
        self.end = end
        self.width = width

    def forward(self, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`state` of shape [1, size] to the sentences, [width, longest], best first, and their scores, [width]."""
        states = state.repeat(self.width, 1)
        sentences = torch.full((self.width, self.longest), self.end)
        scores = torch.full((self.width,), float("-inf"))
        scores[0] = 0.0
        tokens = torch.ones(self.width, dtype=torch.long)
        count = torch.zeros((), dtype=torch.long)
        stay = torch.full((self.vocabulary,), float("-inf"))
        stay[self.end] = 0.0
        while tokens[0] != self.end and count < self.longest:
            states = self.cell(self.embed(tokens), states)
            next_scores = torch.log_softmax(self.score(states), dim=1)
            next_scores = torch.where((tokens == self.end).unsqueeze(1), stay, next_scores)
            best = (scores.unsqueeze(1) + next_scores).flatten().topk(self.width)
            scores = best.values
            source = best.indices // self.vocabulary
            tokens = best.indices % self.vocabulary
            states = states[source]
            sentences = sentences[source]
            sentences[:, count] = tokens
            count = count + 1
        return sentences, scores

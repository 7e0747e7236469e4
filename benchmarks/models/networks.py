"""Networks that compute more for some inputs than for others: a mixture of experts, a transformer with early exit."""

from __future__ import annotations

import torch
from torch import nn


class Experts(nn.Module):
    """A sparse mixture of experts: each runs only if a row of the batch chose it, and then adds its share."""

    def __init__(self, size: int, hidden: int, experts: int, chosen: int = 2):
        super().__init__()
        self.chosen = chosen
        self.gate = nn.Linear(size, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size)) for _ in range(experts)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, size] to the same shape."""
        scores = self.gate(x)
        least = scores.topk(self.chosen, dim=1).values[:, -1:]
        weights = torch.softmax(scores.masked_fill(scores < least, float("-inf")), dim=1)
        answer = torch.zeros_like(x)
        for index, expert in enumerate(self.experts):
            weight = weights[:, index : index + 1]
            if (weight > 0).any():
                answer = answer + weight * expert(x)
        return answer


class Block(nn.Module):
    """A transformer block: attention and a feed-forward network, each added to what came in."""

    def __init__(self, size: int, heads: int):
        super().__init__()
        self.heads = heads
        self.before = nn.LayerNorm(size)
        self.project = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.between = nn.LayerNorm(size)
        self.feed = nn.Sequential(nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, length, size] to the same shape."""
        batch, length, size = x.shape
        parts = self.project(self.before(x)).view(batch, length, 3, self.heads, size // self.heads)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = nn.functional.scaled_dot_product_attention(queries, keys, values)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, length, size))
        return x + self.feed(self.between(x))


class EarlyExit(nn.Module):
    """A transformer that stops at the first block after which its classifier is sure enough."""

    def __init__(self, size: int, heads: int, blocks: int, sure: float, classes: int = 10):
        super().__init__()
        self.blocks = nn.ModuleList(Block(size, heads) for _ in range(blocks))
        self.classify = nn.Linear(size, classes)
        self.sure = sure

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [batch, length, size] to the classes' probabilities, of shape [batch, classes]."""
        answer = torch.zeros(x.shape[0], self.classify.out_features)
        done = torch.zeros((), dtype=torch.bool)
        for block in self.blocks:
            if not done:
                x = block(x)
                answer = torch.softmax(self.classify(x.mean(dim=1)), dim=1)
                done = answer.max(dim=1).values.min() > self.sure
        return answer

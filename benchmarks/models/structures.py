"""Algorithms over structured data: Viterbi decoding, non-maximum suppression, a walk through a decision tree."""

from __future__ import annotations

import torch
from torch import nn


class Viterbi(nn.Module):
    """The best sequence of tags of a linear-chain CRF, for a sentence of any length."""

    def __init__(self, size: int, tags: int):
        super().__init__()
        self.emit = nn.Linear(size, tags)
        self.transitions = nn.Parameter(torch.randn(tags, tags))

    def forward(self, words: torch.Tensor, length: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`words` of shape [longest, size], of which `length` (0-dim) count, to the score and the tags, [longest]."""
        emissions = self.emit(words)
        score = emissions[0]
        came_from = torch.zeros(emissions.shape[0], emissions.shape[1], dtype=torch.long)
        position = torch.ones((), dtype=torch.long)
        while position < length:
            best = (score.unsqueeze(1) + self.transitions).max(dim=0)
            score = best.values + emissions[position]
            came_from[position] = best.indices
            position = position + 1
        tags = torch.zeros(emissions.shape[0], dtype=torch.long)
        tag = score.argmax()
        position = position - 1
        tags[position] = tag
        while position > 0:
            tag = came_from[position, tag]
            position = position - 1
            tags[position] = tag
        return score.max(), tags


def suppress(boxes: torch.Tensor, scores: torch.Tensor, overlap: float) -> torch.Tensor:
    """Non-maximum suppression: which of the boxes to keep.

    `boxes` of shape [n, 4] (left, top, right, bottom) and their `scores`, [n], to a mask, [n]: the best box is kept,
    and those that overlap it by more than `overlap` are dropped, until none is left.
    """
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    keep = torch.zeros(boxes.shape[0], dtype=torch.bool)
    left = scores.clone()
    while left.max() > 0:
        best = left.argmax()
        box = boxes[best]
        width = (torch.minimum(boxes[:, 2], box[2]) - torch.maximum(boxes[:, 0], box[0])).clamp(min=0)
        height = (torch.minimum(boxes[:, 3], box[3]) - torch.maximum(boxes[:, 1], box[1])).clamp(min=0)
        both = width * height
        dropped = both > overlap * (areas + areas[best] - both)
        keep[best] = True
        left = left.masked_fill(dropped, 0.0)
        left[best] = 0.0
    return keep


class Suppression(nn.Module):
    """`suppress` as a module: proposals from features, and which of them to keep."""

    def __init__(self, size: int, overlap: float = 0.5):
        super().__init__()
        self.corner = nn.Linear(size, 2)
        self.extent = nn.Linear(size, 2)
        self.score = nn.Linear(size, 1)
        self.overlap = overlap

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """`features` of shape [n, size] to n boxes, [n, 4], and the mask of those to keep, [n]."""
        corner = self.corner(features)
        boxes = torch.cat([corner, corner + self.extent(features).exp()], dim=1)
        return boxes, suppress(boxes, torch.sigmoid(self.score(features)[:, 0]), self.overlap)


class Tree(nn.Module):
    """A decision tree with a linear test in every node: a walk from the root to a leaf, and the leaf's answer."""

    def __init__(self, size: int, depth: int):
        super().__init__()
        inner = 2**depth - 1
        self.tests = nn.Parameter(torch.randn(inner, size))
        self.leaves = nn.Parameter(torch.randn(inner + 1, size))
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`x` of shape [size] to the leaf's row, scaled by how clear the decisions were; of shape [size]."""
        node = torch.zeros((), dtype=torch.long)
        clear = torch.ones(())
        while node < self.inner:
            margin = torch.tanh((self.tests[node] * x).sum())
            clear = clear * margin.abs()
            if margin > 0:
                node = 2 * node + 2
            else:
                node = 2 * node + 1
        return clear * self.leaves[node - self.inner]

"""Greedy decoding: a loop that writes tokens into a buffer and breaks on the end token.

Run: python examples/greedy_decode.py
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import d2s


class GreedyDecoder(nn.Module):
    """A decoder with one GRU cell.

    Args:
        vocabulary: the number of tokens.
        size: the number of features.
        most: the most tokens of a text.
        end: the token that ends a text.
    """

    def __init__(self, vocabulary: int = 12, size: int = 16, most: int = 24, end: int = 1):
        super().__init__()
        self.most = most
        self.end = end
        self.embedding = nn.Embedding(vocabulary, size)
        self.cell = nn.GRUCell(size, size)
        self.out = nn.Linear(size, vocabulary)

    def forward(self, h: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The tokens, shape [most], with zeros after the last, and how many there are.

        `h` is the state to start from, shape [1, size].
        """
        tokens = torch.zeros(self.most, dtype=torch.int64)
        token = torch.zeros(1, dtype=torch.int64)
        length = 0
        for step in range(self.most):
            h = self.cell(self.embedding(token), h)
            scores = self.out(h)
            if scores.max() < 0.5:
                scores = scores * 2
            token = scores.argmax(-1)
            if token == self.end:
                break
            tokens[step] = token[0]
            length += 1
        return tokens, length


def decoder(seed: int = 6) -> GreedyDecoder:
    """A decoder with random parameters, large enough that it says something."""
    torch.manual_seed(seed)
    made = GreedyDecoder()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.6)
    return made


def main() -> None:
    eager, static = decoder(), d2s.to_static(decoder(), full_graph=True)
    print("length  tokens, eager and static")
    with torch.no_grad():
        for seed in (1, 3, 5):
            h = torch.randn(1, 16, generator=torch.Generator().manual_seed(seed))
            want, length = eager(h)
            got, static_length = static(h)
            assert torch.equal(want, got) and length == static_length
            print(f"{length:>6}  {want[:length].tolist()}\n        {got[:static_length].tolist()}")
    forward: Any = static.forward
    print(f"\nprograms captured: {len(forward.programs)}\n\n{forward.programs[0]}")


if __name__ == "__main__":
    main()

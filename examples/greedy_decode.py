"""Greedy decoding: a loop that writes tokens into a buffer and breaks on the end token.

The parameters are arguments, so the function is an ordinary one. Run: python examples/greedy_decode.py
"""

from __future__ import annotations

import torch

import d2s

END = 1


def parameters(vocabulary: int = 12, size: int = 16) -> dict[str, torch.Tensor]:
    """Random parameters of a decoder with one GRU cell."""
    generator = torch.Generator().manual_seed(3)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.6

    return {
        "embedding": normal(vocabulary, size),
        "w_ih": normal(3 * size, size),
        "w_hh": normal(3 * size, size),
        "out": normal(vocabulary, size),
    }


def greedy_decode(h: torch.Tensor, weights: dict[str, torch.Tensor], most: int = 24) -> tuple[torch.Tensor, int]:
    """The tokens, shape [most], with zeros after the last, and how many there are.

    `h` is the state to start from, shape [1, size].
    """
    tokens = torch.zeros(most, dtype=torch.int64)
    token = torch.zeros(1, dtype=torch.int64)
    length = 0
    for step in range(most):
        x = weights["embedding"][token]
        h = torch.gru_cell(x, h, weights["w_ih"], weights["w_hh"])
        scores = h @ weights["out"].T
        if scores.max() < 0.5:
            scores = scores * 2
        token = scores.argmax(-1)
        if token == END:
            break
        tokens[step] = token[0]
        length += 1
    return tokens, length


def main() -> None:
    static = d2s.to_static(greedy_decode, full_graph=True)
    weights = parameters()
    print("length  tokens, eager and static")
    for seed in (0, 1, 5):
        h = torch.randn(1, 16, generator=torch.Generator().manual_seed(seed))
        want, length = greedy_decode(h, weights)
        got, static_length = static(h, weights)
        assert torch.equal(want, got) and length == static_length
        print(f"{length:>6}  {want[:length].tolist()}\n        {got[:static_length].tolist()}")
    print(f"\nprograms captured: {len(static.programs)}\n\n{static.programs[0]}")


if __name__ == "__main__":
    main()

"""A GRU that thinks until every row of the batch has halted: a loop whose trip count is in the data.

Runs it in eager and as one static program on three inputs that halt after different numbers of steps, and shows what
d2s made of it. Run: python examples/adaptive_rnn.py
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

import d2s


class AdaptiveRNN(nn.Module):
    """Reads one input of shape [batch, inputs] again and again; each row halts by itself.

    Args:
        inputs, hidden: the numbers of features.
        most: the most steps.
    """

    def __init__(self, inputs: int = 8, hidden: int = 16, most: int = 50):
        super().__init__()
        self.hidden = hidden
        self.most = most
        self.cell = nn.GRUCell(inputs, hidden)
        self.halt = nn.Linear(hidden, 1)
        self.out = nn.Linear(hidden, 4)

    def forward(self, x: torch.Tensor, confidence: torch.Tensor) -> tuple[torch.Tensor, int]:
        """The outputs, shape [batch, 4], and the number of steps."""
        h = torch.zeros(x.shape[0], self.hidden)
        halted = torch.zeros(x.shape[0])
        steps = 0
        while halted.min() < confidence and steps < self.most:
            h = self.cell(x, h)
            p = torch.sigmoid(self.halt(h)).squeeze(-1)
            halted = halted + p * (1 - halted)
            if p.mean() < 0.45:
                h = h * 0.9
            steps += 1
        return self.out(h), steps


def main() -> None:
    torch.manual_seed(0)
    eager = AdaptiveRNN()
    static = AdaptiveRNN()
    static.load_state_dict(eager.state_dict())
    d2s.to_static(static, full_graph=True)

    x = torch.randn(3, 8)
    print("confidence  eager                      static                     difference  steps")
    for confidence in (0.3, 0.9, 0.999):
        want, steps = eager(x, torch.tensor(confidence))
        got, static_steps = static(x, torch.tensor(confidence))
        shown = [" ".join(f"{v:7.4f}" for v in answer[0, :3].tolist()) for answer in (want, got)]
        difference = (want - got).abs().max().item()
        print(f"{confidence:<11} {shown[0]:<26} {shown[1]:<26} {difference:<11.1g} {steps} / {static_steps}")

    forward: Any = static.forward
    print(f"\nprograms captured: {len(forward.programs)}")
    print(f"\nThe generated code, before recording:\n\n{forward.code}")
    print(f"The program:\n\n{forward.programs[0]}")


if __name__ == "__main__":
    main()

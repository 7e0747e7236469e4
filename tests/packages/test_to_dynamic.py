"""Static programs of packages' models as ordinary code: it does what the models do."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import BertConfig, BertModel, GPT2Config, GPT2Model

import d2s
from d2s.runtime.ir.canonical import canonical
from d2s.runtime.source.attempts import without_attempts
from d2s.standalone import standalone

CHOICES: dict[str, Any] = {"vocab_size": 50, "attn_implementation": "eager", "return_dict": False}
MODELS = {
    "bert": lambda: BertModel(
        BertConfig(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32, **CHOICES)
    ),
    "gpt2": lambda: GPT2Model(GPT2Config(n_embd=16, n_layer=2, n_head=2, use_cache=False, **CHOICES)),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_transformer_there_and_back(name: str) -> None:
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    words = torch.randint(50, (2, 7))
    program = d2s.to_static(model, full_graph=True).forward.concrete_program(words)
    dynamic = d2s.to_dynamic(program)
    assert dynamic.state_dict().keys() >= model.state_dict().keys()
    for _ in range(3):
        words = torch.randint(50, (2, 7))
        torch.testing.assert_close(dynamic(words)[0], model(words)[0])
    again = d2s.to_static(dynamic, full_graph=True).forward.concrete_program(words)
    # What was in a `try` of the package's looks whether it raises, to raise the same.
    first, second = (standalone(one).programs[0].program for one in (program, again))
    assert canonical(without_attempts(first)) == canonical(without_attempts(second))

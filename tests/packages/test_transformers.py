"""Language models: their forward passes, and `generate`, whose end token decides about the number of steps."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from compare import same
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

import d2s

VOCABULARY = 50


def gpt() -> Any:
    torch.manual_seed(0)
    config = GPT2Config(
        n_layer=2,
        n_head=2,
        n_embd=16,
        vocab_size=VOCABULARY,
        n_positions=64,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=1.0,
    )
    return GPT2LMHeadModel(config).eval()


def bert() -> Any:
    torch.manual_seed(0)
    config = BertConfig(
        num_hidden_layers=2, num_attention_heads=2, hidden_size=16, vocab_size=VOCABULARY, intermediate_size=32
    )
    return BertModel(config).eval()


def tokens(seed: int) -> Any:
    return torch.randint(3, VOCABULARY, (2, 5), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("make", [gpt, bert])
def test_forward(make: Any) -> None:
    eager, static = make(), d2s.to_static(make(), full_graph=True)
    for mask in ([1, 1, 1, 1, 1], [0, 0, 1, 1, 1]):
        given = {"input_ids": tokens(0), "attention_mask": torch.tensor([[1] * 5, mask])}
        want, got = eager(**given), static(**given)
        assert type(want) is type(got) and list(want) == list(got)
        assert same(want[0], got[0])
    assert len(static.forward.programs) == 1


def test_generate_until_an_end_token() -> None:
    model = gpt()

    def generate(ids: Any, mask: Any) -> Any:
        return model.generate(
            ids, attention_mask=mask, max_new_tokens=10, do_sample=False, eos_token_id=end, pad_token_id=0
        )

    mask, end = torch.ones(2, 5, dtype=torch.int64), VOCABULARY - 1
    end = int(generate(tokens(0), mask)[0, 7])
    static = d2s.to_static(generate, full_graph=True)
    lengths = set()
    for seed in range(5):
        want = generate(tokens(seed), mask)
        assert same(want, static(tokens(seed), mask))
        lengths.add(want.shape[1])
    assert len(lengths) > 1, "all take the same number of steps"
    assert len(static.programs) == 1

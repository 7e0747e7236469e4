"""Layers of `torch.nn` are layers again in the source of a program."""

import copy

import pytest
import torch
import torch.nn.functional as F
from equality import equal_programs
from torch import nn

import d2s


class Vision(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.mix = nn.Conv2d(8, 8, (3, 1), padding=(1, 0), groups=4)
        self.norm = nn.GroupNorm(2, 8, eps=1e-3)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(4, 2, dtype=torch.float32)

    def forward(self, x):
        x = self.stem(x)
        while x.abs().mean() > 0.5:
            x = self.norm(self.mix(x)) / 4
        x = self.drop(self.up(x))
        return self.head(x.mean((2, 3)))


class Text(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 6, padding_idx=0)
        self.norms = nn.ModuleDict({"first": nn.LayerNorm(6), "second": nn.RMSNorm(6)})
        self.out = nn.Linear(6, 10, bias=False)
        self.out.weight = self.embed.weight
        for parameter in self.norms.parameters():
            parameter.requires_grad_(False)

    def forward(self, tokens):
        x = self.norms["first"](self.embed(tokens))
        if x.sum() > 0:
            x = self.norms["second"](x)
        return self.out(x)


def _image(seed):
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * seed


def test_an_image_model_for_training_and_eval():
    torch.manual_seed(0)
    net = Vision()
    static = d2s.to_static(copy.deepcopy(net))
    programs = [static.train().forward.concrete_program(_image(1)), static.eval().forward.concrete_program(_image(1))]
    source = d2s.to_source(static)
    assert "nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False)" in source
    assert "training=self.training" in source and "assert self.training" not in source
    assert "F.batch_norm" not in source and "F.linear" not in source and "conv_transpose2d" not in source
    made = d2s.to_dynamic(static)
    assert [type(part) for part in made.stem][:2] == [nn.Conv2d, nn.BatchNorm2d]
    for module in (made, net):
        module.train()
    for seed in (1, 3, 5):
        results = []
        for module in (made, net):
            torch.manual_seed(seed)
            results.append(module(_image(seed)))
        torch.testing.assert_close(*results)
    torch.testing.assert_close(made.state_dict(), net.state_dict())
    torch.testing.assert_close(made.eval()(_image(4)), net.eval()(_image(4)))
    again = d2s.to_static(made)
    for program, training in zip(programs, (True, False), strict=True):
        other = again.train(training).forward.concrete_program(_image(1))
        assert equal_programs(program, other)


def test_tied_and_frozen_parameters():
    torch.manual_seed(0)
    net = Text()
    made = d2s.to_dynamic(d2s.to_static(copy.deepcopy(net)).forward.concrete_program(torch.tensor([[1, 2, 0]])))
    assert type(made.embed) is nn.Embedding and made.embed.padding_idx == 0 and type(made.out) is nn.Linear
    assert made.out.weight is made.embed.weight
    wanted = {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in made.named_parameters()} == wanted
    for tokens in ([[1, 2, 0]], [[5, 4, 9]], [[0, 3, 8]]):
        torch.testing.assert_close(made(torch.tensor(tokens)), net(torch.tensor(tokens)))


class Scaled(nn.Module):
    """Uses the tensors of a layer otherwise than the layer does."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        x = F.linear(x, self.fc.weight * 2, self.fc.bias)
        return F.batch_norm(x, self.norm.running_mean, self.norm.running_var, training=True)


def test_tensors_of_layers_that_are_used_otherwise():
    net = Scaled()
    x = torch.randn(4, 3)
    made = d2s.to_dynamic(d2s.to_static(copy.deepcopy(net)).forward.concrete_program(x))
    torch.testing.assert_close(made(x), net(x))
    torch.testing.assert_close(made.state_dict(), net.state_dict())


def test_a_program_for_training_is_no_module_for_eval():
    made = d2s.to_dynamic(d2s.to_static(Vision()).forward.concrete_program(_image(1)))
    with pytest.raises(AssertionError):
        made.eval()(_image(1))

"""Modules of torch that change themselves while they run."""

import torch
from language import feature
from torch import nn

X = torch.tensor([1.0, -2.0, 3.0])


@feature("a module that switches itself to evaluation mode", X, -X, ways=1)
class Settling(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        y = self.norm(torch.stack([x, x * 2, x + 1]))
        self.eval()
        return y, self.norm.training


@feature("a mode that a tensor chooses", X, -X)
class Chosen(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        if x.sum() > 0:
            self.train()
        else:
            self.eval()
        return self.dropout(self.norm(torch.stack([x, x * 2, x + 1]))), self.norm.running_mean.clone()


@feature("a flag that a tensor sets for a module inside", X, -X)
class Flagged(nn.Module):
    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        self.dropout.training = bool(x.sum() > 4)
        return self.dropout(x)


@feature("a module list that grows at each call", X, -X, X, ways=1, programs=3)
class Growing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Identity()])

    def forward(self, x):
        if len(self.layers) < 3:
            self.layers.append(nn.Tanh())
        for layer in self.layers:
            x = layer(x)
        return x, len(self.layers)


@feature("buffers and attributes written through the dict that holds them", X, -X, X, programs=2)
class ByDict(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("total", torch.zeros(3))

    def forward(self, x):
        self._buffers["total"] = self._buffers["total"] + x
        self.__dict__["last"] = x
        if x.sum() > 0:
            vars(self)["count"] = vars(self).get("count", 0) + 1
        return self.total * 2, self.last is x, getattr(self, "count", None)


@feature("an optimizer that the module keeps, with state since the first call", X, -X, X / 30, programs=2)
class Trained(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1)
        with torch.no_grad():
            self.layer.weight.fill_(0.5)
            self.layer.bias.zero_()
        self.optimizer = torch.optim.Adam(self.layer.parameters(), lr=0.05)

    def forward(self, x):
        loss = self.layer(x).pow(2).sum()
        if loss > 0.1:
            self.optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.layer.parameters(), 1.0)
            self.optimizer.step()
        return loss.detach(), self.layer.weight.detach().clone()

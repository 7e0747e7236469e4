"""Models that TorchScript compiles, with loops and branches that depend on data."""

import torch
import torch.nn.functional as F
from torch import nn


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4)

    def forward(self, x, bias: torch.Tensor | None = None):
        if bias is not None:
            x = x + bias
        if bool(x.sum() > 0):
            x = torch.relu(self.fc(x))
        elif bool(x.max() > 0):
            x = x - 1
        else:
            x = -x
        return x


class Halving(nn.Module):
    def forward(self, x):
        steps = 0
        while bool(x.abs().max() > 1):
            x = x / 2
            steps += 1
        return x, steps


class Breaking(nn.Module):
    def forward(self, x, n: int):
        for i in range(n):
            if float(x.mean()) > 3.0:
                break
            if bool(x[0, 0] < 0):
                continue
            x = x * 1.5 + i
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(4, 5)
        self.out = nn.Linear(5, 2)

    def forward(self, x):
        hidden = torch.zeros(x.size(0), 5)
        outputs: list[torch.Tensor] = []
        for step in range(x.size(1)):
            hidden = self.cell(x[:, step], hidden)
            if bool(hidden.sum() > 0):
                outputs.append(self.out(hidden))
        if len(outputs) == 0:
            return torch.zeros(0, x.size(0), 2)
        return torch.stack(outputs)


class Deep(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([Branching() for _ in range(3)])
        self.norm = nn.BatchNorm1d(4)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        for block in self.blocks:
            y = block(x)
            x = x + y
        return self.drop(self.norm(x))


class Counting(nn.Module):
    calls: int
    mean: torch.Tensor

    def __init__(self):
        super().__init__()
        self.calls = 0
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x):
        self.calls += 1
        if self.training:
            self.mean = self.mean * 0.9 + x.mean(0) * 0.1
        if bool(x.sum() > 0):
            self.calls += 10
        return x - self.mean, self.calls


class Checking(nn.Module):
    def forward(self, x, mode: str = "mean"):
        if x.dim() != 2:
            raise ValueError(f"two dimensions, not {x.dim()}")
        if mode == "mean":
            return x.mean(1)
        elif mode == "max":
            values, where = x.max(1)
            return values + where
        assert mode == "sum", "mean, max or sum"
        return x.sum(1)


class Tables(nn.Module):
    def forward(self, x) -> dict[str, torch.Tensor]:
        found: dict[str, torch.Tensor] = {"input": x}
        if bool(x.sum() > 0):
            found["positive"] = x.clamp(min=0)
        for key in ["a", "b"]:
            found[key] = x * len(found)
        return found


def clipped(x, low: float, high: float):
    if bool(x.max() > high):
        x = x.clamp(max=high)
    return x.clamp(min=low)


class Search(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, 4, bias=False)

    def forward(self, x, tolerance: float = 0.01) -> tuple[torch.Tensor, int]:
        found = -1
        for i in range(20):
            following = clipped(torch.tanh(self.fc(x)), -0.9, 0.9)
            done = bool((following - x).abs().max() < tolerance)
            x = following
            if done and found < 0:
                found = i
        return x, found


class Lists(nn.Module):
    def forward(self, xs: list[torch.Tensor], skip: int | None):
        total = torch.zeros_like(xs[0])
        for i, x in enumerate(xs):
            if skip is not None and i == skip:
                continue
            total = total + x
        sizes = [x.numel() for x in xs]
        return total, sizes, max(sizes)


class Picture(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        while x.size(-1) > 2:
            x = F.avg_pool2d(x, 2)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        out = F.log_softmax(self.head(x), dim=-1)
        if self.training:
            return out * 2
        return out


class Nested(nn.Module):
    def forward(self, x, n: int):
        rows = torch.jit.annotate(list[torch.Tensor], [])
        i = 0
        while i < n:
            j = 0
            row = x[i % x.size(0)]
            while j < i:
                row = row * 0.5 + j
                if bool(row.max() > 2):
                    row = row - 1
                j += 1
            rows.append(row)
            i += 1
        return torch.stack(rows) if len(rows) > 0 else x


class Endless(nn.Module):
    def forward(self, x):
        k = 0
        while True:
            x = x * 1.5
            k += 1
            if bool(x.max() > 10) or k > 20:
                break
        return x, k


class Leaving(nn.Module):
    def forward(self, x, n: int):
        for i in range(n):
            x = x * 2
            if bool(x.sum() > 10):
                return x + i
        return x - 1


class Named(nn.Module):
    def forward(self, tensors: dict[str, torch.Tensor], name: str):
        total = torch.zeros(4)
        for key, tensor in tensors.items():
            if key != "skip" and bool(tensor.sum() > 0):
                total = total + tensor.sum(0)
        if name.startswith("a") and len(name) > 2:
            total = total * len(name.split("_"))
        return total


class Memory(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(4, 5, num_layers=2, batch_first=True)
        self.heads = nn.ModuleDict({"a": nn.Linear(5, 2), "b": nn.Linear(5, 2)})

    def forward(self, x, state: tuple[torch.Tensor, torch.Tensor] | None = None):
        y, last = self.lstm(x, state)
        return [head(y[:, -1]) for head in self.heads.values()], last


class Writing(nn.Module):
    def forward(self, x, places: list[int]):
        y = x.clone()
        y[0] = 1.0
        y[:, 1:3] += 2
        for place in places:
            y[place % y.size(0), 0] = float(place)
        y[y > 2] = 0
        return y, y.shape, x[..., None].size()

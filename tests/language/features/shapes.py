"""Sizes and bounds that are known only when the program runs."""

import torch
import torch.nn.functional as F
from language import feature
from torch import nn

X = torch.tensor([1.0, 2.0, 3.0, 4.0])


def n(*values):
    return torch.tensor(values[0] if len(values) == 1 else values)


@feature("slices with bounds from `int()`", (X, n(2)), (X, n(3)), (X, n(0)), (X, n(9)), grad=True)
def slice_to_int(x, count):
    k = int(count)
    return x[:k], x[k:], x[-k:], x[k : k + 1]


@feature("slices whose bounds are tensors", (X, n(1), n(3)), (X, n(0), n(4)), grad=True)
def slice_to_tensor(x, low, high):
    return x[low:high], x[int(low) : int(high) : 2], x[:, None][low:]


@feature("assignment to slices with unknown bounds", (X, n(2)), (X, n(1)))
def assign_to_slice(x, count):
    y = x.clone()
    y[:count] = 0
    y[count.item()] = 5
    return y, y[..., : count.item()].sum()


@feature("boolean masks, and computing on what they keep", X - 2.5, X, -X, grad=True)
def masks(x):
    kept = x[x > 0]
    y = x.clone()
    y[x > 0] = y[x > 0] * 2
    return y, kept.sort().values, kept.numel(), len(kept), kept.mean() if len(kept) > 1 else x.sum()


@feature("`nonzero`, and tensors made of its size", X - 2, X - torch.tensor([1.0, 2.0, 0, 0]))
def sizes_of_nonzero(x):
    rows = x.nonzero().squeeze(-1)
    out = torch.zeros(len(rows), 3)
    out[:, 0] = rows.float()
    return out, torch.arange(len(rows)), out.view(-1), out.reshape(3, -1)


@feature("`unique` with counts", n(1, 1, 2, 3), n(4, 4, 4, 4))
def unique_counts(x):
    values, counts = torch.unique(x, return_counts=True)
    return values[counts.argmax()], values.numel(), counts.max() if counts.numel() > 1 else counts.sum()


@feature("sizes for `pad`, `repeat`, `expand`, `full`, `eye`, `ones`, `randn`", (X, n(2)), (X, n(3)))
def made_by_size(x, count):
    k = int(count)
    made = torch.full((k, 2), 1.5), torch.eye(k), torch.ones(k, k).tril(), torch.randn(k, 4, generator=None)
    return F.pad(x, (0, k)), x.repeat(k), x.unsqueeze(0).expand(k, -1), made


@feature("a tensor that shrinks in a loop", X, X + torch.tensor([9.0, 0, 0, 0]))
def shrinking(x):
    while x.shape[0] > 1:
        x = x[::2] + 1 if x.sum() > 10 else x[1:]
    return x


@feature("a tensor that grows in a loop", X, torch.tensor([1.0, 1.0, 1.0, 4.0]), grad=True)
def growing(x):
    left = x.argsort()
    out = x.new_zeros(0)
    while left.numel() > 0:
        out = torch.cat([out, x[left[0]][None]])
        left = left[1:][x[left[1:]] > x[left[0]] + 1]
    return out


@feature("`if` on sizes that are not known", (X, n(2)), (X, n(3)), (X, n(4)))
def size_decisions(x, count):
    y = x[: int(count)]
    if y.shape[0] == x.shape[0]:
        return y + x
    if y.size(0) % 2 == 0:
        return y.view(2, -1).sum(0)
    return y.cumsum(0)


@feature("attention over a prefix of unknown length", (torch.ones(5, 4), n(3)), (torch.ones(5, 4), n(4)))
def attention_over_prefix(x, count):
    q = x[: int(count)]
    y = F.scaled_dot_product_attention(q[None], q[None], q[None], is_causal=True)
    return y, F.layer_norm(q, (4,)), torch.einsum("ld,md->lm", q, q)


@feature("rows cut to their own lengths, then joined and padded", (X.view(2, 2), n(1, 2)), (X.view(2, 2), n(2, 1)))
def ragged(x, lengths):
    rows = []
    for row, length in zip(x, lengths):
        rows.append(row[:length])
    return torch.cat(rows), nn.utils.rnn.pad_sequence(rows, batch_first=True)


@feature("layers on inputs of unknown length", (torch.ones(2, 2, 8), n(6)), (torch.ones(2, 2, 8), n(5)))
class LayersOnPrefix(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.rnn = nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.LSTM(2, 3, batch_first=True)

    def forward(self, x, count):
        x = x[:, :, : int(count)]
        y = F.max_pool1d(F.relu(self.norm(self.conv(x))), 2)
        z, (h, _) = self.rnn(x.transpose(1, 2))
        return F.adaptive_avg_pool1d(y, 1).squeeze(-1), z[:, -1], h


@feature("a flag for a function of torch that only the run knows", (X.view(2, 2), n(1)), (X.view(2, 2), n(2)))
def flag_for_torch(x, count):
    q = x[None, None, : int(count)]
    y = F.scaled_dot_product_attention(q, x[None, None], x[None, None], is_causal=q.shape[2] > 1)
    return y, x.sum(0, keepdim=bool(count > 0)), x.sort(descending=bool(count > 1)).values

"""Context variables."""

from contextvars import ContextVar

import torch
from language import feature

X = torch.tensor([1.0, -2.0, 3.0])
_scale: ContextVar = ContextVar("scale", default=2)
_notes: ContextVar = ContextVar("notes", default=None)


def scaled(x):
    notes = _notes.get()
    if notes is not None:
        notes.append(x.sum())
    return x * _scale.get()


@feature("a context variable that is set and reset, also around a raise", X, -X, X * 9)
def set_and_reset(x):
    token = _notes.set([])
    try:
        y = scaled(x)
        if x.sum() > 0:
            inner = _scale.set(5)
            y = scaled(y)
            _scale.reset(inner)
        if x.sum() > 10:
            raise ValueError("far")
        return scaled(y), _notes.get()
    finally:
        _notes.reset(token)


@feature("a context variable that is left with another value", X, eager="its reset is not seen", code="D2S308")
def left_set(x):
    _scale.set(3)
    return scaled(x)

"""How each contender makes a model its own, to run it and to train it."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

import torch
from cases import Case
from torch import nn

import d2s

Prepare = Callable[[Case, Any], Any]


class NotEntered(Exception):
    """A contender has nothing for a case."""


def _static(case: Case, model: Any) -> Any:
    return d2s.to_static(model, full_graph=True)


def _inductor(case: Case, model: Any) -> Any:
    return d2s.to_static(model, full_graph=True, backend="inductor")


def _compile(case: Case, model: Any) -> Any:
    return torch.compile(model)


def _script(case: Case, model: Any) -> Any:
    return torch.jit.script(model)


def _frozen(case: Case, model: Any) -> Any:
    scripted = torch.jit.script(model.eval() if isinstance(model, nn.Module) else model)
    return torch.jit.freeze(scripted) if isinstance(model, nn.Module) else scripted


def _by_hand(case: Case, model: Any) -> Any:
    if case.by_hand is None:
        raise NotEntered
    return torch.compile(functools.partial(case.by_hand, model), fullgraph=True)


def _xla(case: Case, model: Any) -> Any:
    if case.xla is None:
        raise NotEntered
    try:
        return case.xla(model)
    except ImportError:
        raise NotEntered from None


def _eager(case: Case, model: Any) -> Any:
    return model


_BOTH: dict[str, Prepare] = {"eager": _eager, "d2s": _static, "d2s, inductor": _inductor, "torch.compile": _compile}
CONTENDERS: dict[str, dict[str, Prepare]] = {
    "inference": _BOTH | {"torch.jit.script": _frozen, "by hand": _by_hand, "XLA": _xla},
    "training": _BOTH | {"torch.jit.script": _script},
}


def instances(case: Case, kind: str) -> dict[str, Any]:
    """The same model for each contender that enters; an exception for one that can't make it its own."""
    torch.manual_seed(0)
    model = case.make()
    found: dict[str, Any] = {}
    for name, prepare in CONTENDERS[kind].items():
        try:
            found[name] = prepare(case, copy.deepcopy(model))
        except NotEntered:
            continue
        except Exception as error:
            found[name] = error
    return found

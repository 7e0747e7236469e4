"""The fuzzer of staleness: it finds what is stale if a guard is taken out, and nothing in a sample of the corpus."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import partial
from typing import Any

import fuzz
import pytest
import torch
from changes import Change
from edits import put
from pairs import PAIRS, function_of

from d2s.runtime.recording import guards, kinds, parts
from d2s.runtime.recording.locations import note_rewritten
from d2s.runtime.recording.parts import form


def test_there_is_a_pair_for_each_kind() -> None:
    assert [kind.name for kind in kinds.TABLE] == list(PAIRS)


@pytest.mark.filterwarnings("ignore::d2s.FallbackWarning")
@pytest.mark.parametrize("kind", kinds.TABLE, ids=lambda kind: kind.name)
@pytest.mark.parametrize("is_guarded", [True, False])
def test_a_guard_that_is_taken_out_is_missed(kind: Any, is_guarded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_guarded:
        unguarded = replace(kind, check=form, parts=parts.no_parts)

        def kind_of(thing: Any) -> Any:
            return unguarded if kinds.kind_of(thing) is kind else kinds.kind_of(thing)

        note_rewritten(kind_of.__code__)  # else it is taken for code of the user's
        monkeypatch.setattr(guards, "kind_of", kind_of)
    pair = PAIRS[kind.name]
    function, holder = function_of(pair)
    changes = [Change("it is the other one", partial(put, holder, "held", pair.other))]
    found = list(fuzz.stale(fuzz.Case(kind.name, lambda: function, (torch.ones(2),)), lambda _: changes))
    assert bool(found) != (is_guarded or pair.twice), found


CASES = list(fuzz.cases())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", random.Random(33).sample(CASES, 80), ids=lambda case: case.name)
def test_a_sample_of_the_corpus(case: fuzz.Case) -> None:
    def some(changes: list[Change]) -> list[Change]:
        return random.Random(case.name).sample(changes, min(8, len(changes)))

    assert not list(fuzz.stale(case, some))

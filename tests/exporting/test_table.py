"""Every feature and every example leaves Python, or is refused, as `docs/exporting.md` says."""

from __future__ import annotations

import pytest
from outside import Candidate, candidates, document, row

CANDIDATES = candidates()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("candidate", CANDIDATES, ids=[f"{one.group}-{one.name}" for one in CANDIDATES])
def test_row(candidate: Candidate) -> None:
    assert row(candidate) in document()[1], "run `make exporting`"


def test_the_table_has_no_other_rows() -> None:
    said = [one.split(" | ")[0] for one in document()[1]]
    assert said == [f"| {one.what}" for one in CANDIDATES], "run `make exporting`"

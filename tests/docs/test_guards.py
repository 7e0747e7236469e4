"""`docs/guards.md` is made of the table by which objects are guarded."""

from __future__ import annotations

from guarded import document


def test_the_table_is_up_to_date() -> None:
    found, expected = document()
    assert found == expected, "run `make guards`"

"""The table of theory against measurement is what its command prints today."""

from __future__ import annotations

import pytest

from tests.support import ROOT
from tests.validation import table
from tests.validation.estimators import SIGMAS

PAGE = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")


def shown() -> list[str]:
    part = PAGE.split("<!-- table:begin -->\n", 1)[1].split("\n<!-- table:end -->", 1)[0]
    return part.splitlines()[2:]


def test_every_row_of_the_page_lies_within_what_the_tests_accept() -> None:
    off = [line.split("|")[6].strip() for line in shown()]
    assert len(off) > 10
    assert all(one == "exact" or abs(float(one)) <= SIGMAS for one in off)


@pytest.mark.parametrize("every_s", [33.4, 33.2])
def test_the_exact_rows_are_those_of_the_command(every_s: float) -> None:
    assert table.evenly_spaced(every_s).line() in shown()


@pytest.mark.long
def test_every_row_is_that_of_the_command() -> None:
    assert [row.line() for row in table.rows()] == shown()

"""The table of laws is what its command prints today, and every row of it meets its law."""

from __future__ import annotations

import re

import msgspec
import pytest

from sim.engine_check.cases import cases
from sim.engine_check.judge import LONG, check, least_covered
from tests.support import ROOT
from tests.support_cli import vpg
from tests.validation import table
from vpg.cli.documents import EngineDocument

PAGE = (ROOT / "docs" / "validation.md").read_text(encoding="utf-8")


def shown() -> list[str]:
    part = PAGE.split("<!-- table:begin -->\n", 1)[1].split("\n<!-- table:end -->", 1)[0]
    return part.splitlines()


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_page_names_every_system_and_figure_of_the_long_form() -> None:
    head, rows = shown()[:2], shown()[2:]
    assert tuple(head) == table.HEAD
    expected = [
        (case.law, case.setting, f"{figure.theory:.5g}")
        for case in cases(long=True)
        for figure in case.figures
    ]
    found = [cells(row) for row in rows]
    assert [(law, setting, theory) for law, setting, _, theory, *_ in found] == expected


def test_every_row_of_the_page_meets_its_law() -> None:
    for row in shown()[2:]:
        _, _, _, theory, measured, interval, covered, _ = cells(row)
        if interval == "exact":
            assert measured == theory
            continue
        held, studies = map(int, covered.split(" of "))
        assert studies == LONG.studies
        assert held >= least_covered(studies)
        # 95 % is two standard errors; four of them are what the command accepts, about.
        half_width = float(interval.removeprefix("± "))
        assert abs(float(measured) - float(theory)) <= 2 * half_width


def test_the_page_says_how_many_intervals_cover() -> None:
    held, studies = (
        sum(int(cells(row)[6].split(" of ")[part]) for row in shown()[2:] if cells(row)[6])
        for part in (0, 1)
    )
    assert f"{held:,} of {studies:,}" in PAGE
    [share] = re.findall(r"([0-9.]+) of 100", PAGE.split("<!-- table:end -->", 1)[1])[:1]
    assert float(share) == pytest.approx(100 * held / studies, abs=0.05)


def test_the_exact_rows_are_those_of_the_command() -> None:
    exact = [place for place, case in enumerate(cases(long=True)) if case.exact]
    assert [table.line(row) for row in check(LONG, chosen=exact)] == shown()[2 : 2 + len(exact)]


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_every_row_is_that_of_the_command() -> None:
    answer = vpg("validate-engine", "--long", "--json", "--workers", "2", "--quiet")
    document = msgspec.json.decode(answer.out, type=EngineDocument)
    assert [*table.HEAD, *map(table.line, document.laws)] == shown()
    assert (answer.code, document.verdict) == (0, "met")

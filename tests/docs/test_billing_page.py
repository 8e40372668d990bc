"""The worked bill: every figure of the page is what the tool computes from the page's scenario."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import ROOT
from tests.support_cli import vpg
from vpg.timebase import iso_jst

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "billing.md").read_text(encoding="utf-8")
MICRO = 1_000_000


def table(heading: str) -> list[list[str]]:
    """Return the cells of the table under ``heading``, its head left out."""
    part = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def yen(cell: str) -> int:
    return int(cell.replace(",", ""))


def run(folder: Path, *sets: str) -> dict[str, Any]:
    """Run the page's scenario and return the document of ``--json``."""
    found = re.search(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    (folder / "by-hand.yaml").write_text(found.group(1), encoding="utf-8")
    words = [word for one in sets for word in ("--set", one)]
    done = vpg("run", "by-hand.yaml", "--no-charts", "--json", *words)
    assert done.code == 0, done.err
    document: dict[str, Any] = json.loads(done.out)
    return document


def test_each_hour_owes_what_the_page_says(in_tmp: Path) -> None:
    document = run(in_tmp)
    owed: dict[str, list[str]] = defaultdict(list)
    sums: dict[str, int] = defaultdict(int)
    with (in_tmp / document["run_dir"] / "charges.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            hour = iso_jst(int(row["hour_start_us"]))[11:13]
            amount = int(row["amount_micro_yen"])
            owed[hour].append(f"{row['bill_item']} {amount // MICRO}")
            sums[hour] += amount
    said = {hour: (items, yen(total)) for hour, _, items, total in table("Hour by hour")}
    assert set(said) == {*owed, "12"}
    for hour, (items, total) in said.items():
        assert items == ", ".join(owed[hour])
        assert total * MICRO == sums[hour]


def test_each_month_sums_taxes_and_rounds_as_the_page_says(in_tmp: Path) -> None:
    charges = run(in_tmp)["charges"]
    *months, both = table("Month by month")
    for said, month in zip(months, charges["months"], strict=True):
        name, excluded, tax, exact, included, billed_tax = said
        assert name.startswith(f"{month['month'][:4]}-{month['month'][4:]} ")
        assert yen(excluded) == month["tax_excluded_yen"]
        assert Fraction(tax.replace(",", "")) == yen(excluded) * Fraction(1, 10)
        assert Fraction(exact.replace(",", "")) == yen(excluded) * Fraction(11, 10)
        assert yen(included) == month["tax_included_yen"]
        assert 0 <= yen(included) - Fraction(exact.replace(",", "")) < 1
        assert yen(billed_tax) == month["tax_yen"] == yen(included) - yen(excluded)
    totals = [charges[name] for name in ("tax_excluded_yen", "tax_included_yen", "tax_yen")]
    assert [yen(both[column]) for column in (1, 4, 5)] == totals


@pytest.mark.parametrize("row", table("What another reading would change"), ids=lambda row: row[0])
def test_another_reading_costs_what_the_page_says(row: list[str], in_tmp: Path) -> None:
    option = re.fullmatch(r"`(.+)`", row[0])
    charges = run(in_tmp, *([option.group(1)] if option else []))["charges"]
    assert (yen(row[2]), yen(row[3])) == (charges["tax_excluded_yen"], charges["tax_included_yen"])

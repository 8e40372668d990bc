"""The worked bill: every figure of the page is what the code or a run computes."""

from __future__ import annotations

import csv
import datetime as dt
import json
import re
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import ROOT
from tests.support_billing import (
    CATALOGUE,
    OPERATOR,
    OTHER,
    YEN,
    account,
    billed,
    fee,
    owes,
    policy,
)
from tests.support_cli import vpg
from tests.support_rating import hour_row, with_table
from vpg.billing.calendar import hours_by_month, month_bounds_us
from vpg.billing.model import FxRate
from vpg.billing.month import bill_months
from vpg.billing.outage import Outage, credit, damages_yen
from vpg.billing.policy import InvoicePolicy
from vpg.billing.support_plan import SlaClaim, refund_lines
from vpg.rating.charges import ChargePolicy, ChargeRow, rate_hours
from vpg.rating.late import Correction
from vpg.timebase import HOUR_US, iso_jst

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "billing.md").read_text(encoding="utf-8")
MICRO = 1_000_000
JST = dt.timezone(dt.timedelta(hours=9))
READINGS = ChargePolicy()


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


# ---- rule by rule --------------------------------------------------------------------------------


def instant_us(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=JST).timestamp()) * MICRO


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def added(cell: str) -> int:
    """Return the sum that a cell such as ``100 + 10`` writes out."""
    return sum(yen(part) for part in cell.split(" + "))


def test_hours_and_months() -> None:
    for begin, end, april, may in table("Hours and months"):
        hours = hours_by_month([(instant_us(begin), instant_us(end))])
        assert (hours.get("202604", 0), hours.get("202605", 0)) == (int(april), int(may))
    charges = rate_hours([hour_row(hour) for hour in range(int(april))], CATALOGUE, READINGS)
    (month,) = bill_months(charges, CATALOGUE, "monthly_total").months
    said = f"{april} × 50 = {month.tax_excluded_yen:,}, with tax {month.tax_included_yen:,}"
    assert said in PAGE


def test_one_hour_of_each_kind() -> None:
    for name, peering, vif, vpn, junction, lines, sets, parts, total in table("One hour"):
        vpg_type, size = name.split()
        row = hour_row(
            type=vpg_type,
            size=size,
            peering_peak=int(peering),
            vif_peak=int(vif),
            vpn_peak=int(vpn),
            junction_on=int(junction == "on"),
            inspection_on=int(bool(lines)),
            lines_inspected=yen(lines or "0"),
            fixed_ip_sets=int(sets),
        )
        amounts = [one.amount_micro_yen or 0 for one in rate_hours([row], CATALOGUE, READINGS)]
        assert sum(amounts) == yen(total) * YEN
        assert sorted(amounts) == sorted(yen(part) * YEN for part in parts.split(" + "))
        assert added(parts) == yen(total)


def test_fees_that_fall_due_once() -> None:
    for item, excluded, included in table("Fees that fall due once"):
        price = CATALOGUE.price_micro_yen(item, month_bounds_us("202604")[0]) or 0
        assert price == yen(excluded) * YEN
        assert billed(owes(price)).payable_yen == yen(included)


def test_requests_with_free_ones_and_steps(tmp_path: Path) -> None:
    found = re.search(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    catalogue = with_table(tmp_path, found.group(1))
    names = ("beam_requests_free", "beam_requests", "beam_requests_tier2")
    for admitted, counted, *steps, total in table("Requests"):
        row = hour_row(accepted_beam=yen(admitted) - 1, failed_upstream_beam=1)
        charges = [
            one
            for one in rate_hours([row], catalogue, READINGS)
            if one.bill_item.startswith("beam")
        ]
        quantities = {one.bill_item: one.quantity for one in charges}
        assert [quantities.get(name, 0) for name in names] == [yen(cell) for cell in steps]
        assert sum(quantities.values()) == yen(counted)
        assert sum(one.amount_micro_yen or 0 for one in charges) == yen(total) * YEN
    funnel = rate_hours([hour_row(accepted_funnel=1)], catalogue, READINGS)
    assert not bill_months(funnel, catalogue, "monthly_total").complete


def charge(month: str, amount_yen: int) -> ChargeRow:
    return ChargeRow(
        vpg_id="v",
        hour_start_us=month_bounds_us(month)[0],
        bill_item="vpg_c_medium",
        quantity=1,
        unit_price_micro_yen=amount_yen * YEN,
        amount_micro_yen=amount_yen * YEN,
    )


def test_both_sides_of_a_tax_rate() -> None:
    for of, before, after, payable in table("Both sides of a tax rate"):
        month = of.replace("-", "")
        use = {"201909": yen(before), "201910": yen(after)}
        late = [
            Correction(month_bounds_us(each)[0], charge(each, amount))
            for each, amount in use.items()
            if each < month and amount
        ]
        one = owes(charges=[charge(month, use[month])], corrections=late)
        assert billed(one, month=month).payable_yen == yen(payable)


def test_two_operators_on_one_invoice() -> None:
    for first, second, each, once in table("Two operators on one invoice"):
        other = owes(lines=(fee(yen(second) * YEN, operator=OTHER),), operator=OTHER)
        both = (owes(yen(first) * YEN), other)
        document = billed(*both)
        assert [section.operator for section in document.sections] == [OPERATOR, OTHER]
        assert document.payable_yen == yen(each)
        summed = billed(*both, policy=policy(joint_rounding="per_invoice"))
        assert summed.payable_yen == yen(once)


def test_global_coverage() -> None:
    rate = FxRate(month="202604", label="TTS", micro_yen_per_usd=150 * YEN)
    for fee_usd, charged_usd, payable in table("Global coverage"):
        line = fee(int(Fraction(fee_usd) * MICRO), "GL")
        document = billed(owes(lines=(line,), fx=(rate,)))
        section = document.sections[-1]
        assert section.tax_included_minor == Fraction(charged_usd) * 100
        assert document.payable_yen == yen(payable)


def test_refunds_for_a_late_answer() -> None:
    for late_on, claimed_on, asked, granted in table("Refunds for a late answer"):
        claims = tuple(
            SlaClaim(
                violated_on=day(late_on),
                claimed_on=day(claimed_on),
                asked_yen=yen(part),
                month_fee_yen=9_800,
            )
            for part in asked.split(" and ")
        )
        lines = refund_lines(claims, 0, account(), 9_800)
        assert sum(-(line.amount_micro or 0) for line in lines) == yen(granted) * YEN


def test_damages() -> None:
    begin_us = month_bounds_us("202604")[0]
    for fault, gross, damage, received, owed in table("Damages"):
        values: dict[str, Any] = {"fault": fault, "gross": gross == "yes"}
        outage = Outage(
            service="vpg",
            began_us=begin_us,
            aware_us=begin_us,
            ended_us=begin_us + 48 * HOUR_US,
            complete=True,
            known_on=day("2026-04-03"),
            claimed_on=day("2026-04-13"),
            month="202604",
            hourly_fee_micro=50 * YEN,
            month_fee_micro=36_000 * YEN,
            damage_yen=yen(damage),
            received_yen=yen(received),
            **values,
        )
        assert damages_yen(outage, InvoicePolicy()) == yen(owed)
        if fault == "provider":
            assert credit(outage, InvoicePolicy()).amount_micro == 2_400 * YEN


def test_the_page_links_to_every_rule_of_the_invoice() -> None:
    other = (ROOT / "docs" / "invoice.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", other, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-") for name in headings}
    assert anchors <= set(re.findall(r"invoice\.md#([a-z0-9-]+)", PAGE))
